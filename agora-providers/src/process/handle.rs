//! The name of a box, as records hold it: `process:<folder>:<pid>:<start>:<boot>:<pid namespace>`.

use agora_core::id::Enc;
use agora_core::seam::Handle;
use agora_jail::BoxId;

const KIND: &str = "process";

/// A handle, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BoxHandle {
    /// The name of the attempt's folder: 32 lower-case hex digits.
    pub(super) folder: String,
    /// The process.
    pub(super) id: BoxId,
}

impl BoxHandle {
    pub(super) fn text(&self) -> Handle {
        let BoxId { pid, start, boot, pid_namespace } = &self.id;
        Enc::encode(&format!("{KIND}:{}:{pid}:{start}:{boot}:{pid_namespace}", self.folder))
    }

    /// Reads a handle; `None` for what this provider never wrote.
    pub(super) fn read(handle: &Handle) -> Option<Self> {
        let mut parts = handle.as_str().split(':');
        if parts.next()? != KIND {
            return None;
        }
        let folder = hex32(parts.next()?)?;
        let pid = parts.next()?.parse().ok().filter(|pid| *pid > 0)?;
        let start = parts.next()?.parse().ok()?;
        let boot = hex32(parts.next()?)?;
        let pid_namespace = parts.next()?.parse().ok()?;
        let read = Self { folder, id: BoxId { pid, start, boot, pid_namespace } };
        // One spelling each: a sign, a leading zero or a further part is not ours.
        (read.text() == *handle).then_some(read)
    }
}

/// The name goes into a path, so it is nothing but what we make.
pub(super) fn hex32(text: &str) -> Option<String> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == 32 && text.bytes().all(hex)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_has_one_spelling_and_no_way_out_of_the_folder() {
        let folder = "0123456789abcdef0123456789abcdef";
        let good = format!("process:{folder}:42:77:{folder}:4026531836");
        let handle = BoxHandle::read(&Enc::new(good.clone()).unwrap()).unwrap();
        assert_eq!(handle.text().as_str(), good);
        assert_eq!((handle.id.pid, handle.id.start), (42, 77));
        for bad in [
            "process".to_owned(),
            format!("docker:{folder}:42:77:{folder}:1"),
            format!("process:../../../../../../../../etc/passw:42:77:{folder}:1"),
            format!("process:{}:42:77:{folder}:1", folder.to_uppercase()),
            format!("process:{folder}:0:77:{folder}:1"),
            format!("process:{folder}:-1:77:{folder}:1"),
            format!("process:{folder}:+42:77:{folder}:1"),
            format!("process:{folder}:042:77:{folder}:1"),
            format!("process:{folder}:42:77:{folder}:1:"),
            format!("process:{folder}:42:77:short:1"),
        ] {
            assert_eq!(BoxHandle::read(&Enc::new(bad.clone()).unwrap()), None, "{bad}");
        }
    }
}
