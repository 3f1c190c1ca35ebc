//! Who calls: the operating system's user, whatever the client says of itself.

use std::io::Read as _;

use agora_core::id::Actor;

/// Bytes of the user database that are read: thousands of users, and no device that never ends.
const PASSWD_BYTES_MAX: u64 = 1024 * 1024;

/// Returns the actor of this process: `agent:` and the name of the user it runs as, or `uid-N` for one without a name.
pub(crate) fn actor() -> Actor {
    let uid = rustix::process::getuid().as_raw();
    let mut database = String::new();
    // A missing or unreadable database only means that the user is known by number.
    let _ =
        std::fs::File::open("/etc/passwd").and_then(|file| file.take(PASSWD_BYTES_MAX).read_to_string(&mut database));
    Actor::encode(&format!("agent:{}", user_name(&database, uid)))
}

fn user_name(database: &str, uid: u32) -> String {
    let named = database.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid-{uid}"))
}

#[cfg(test)]
mod tests {
    use super::user_name;

    #[test]
    fn a_user_is_known_by_name_or_else_by_number() {
        let database = "root:x:0:0:root:/root:/bin/sh\n\n:x:7:7::/:\nada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\n";
        assert_eq!(user_name(database, 1000), "ada");
        assert_eq!(user_name(database, 0), "root");
        assert_eq!(user_name(database, 7), "uid-7");
        assert_eq!(user_name("", 1000), "uid-1000");
    }
}
