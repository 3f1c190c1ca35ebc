//! Why an item does not run: each reason, and none where there is none.

use crate::decide;
use crate::decide::testing::{Player, Report, enc, item_id, opened, place, planned, run_id, word};
use crate::limits::STOP_SECONDS_MAX;
use crate::record::HoldMode;
use crate::state::Blocked;
use crate::worker::Reason;

fn why(player: &Player, run: &str, item: &str) -> Vec<Blocked> {
    let ix = player.run(run).index_of(&item_id(item)).unwrap();
    player.board.blocked(&run_id(run), ix, player.now(), &player.capacity)
}

#[test]
fn why_an_item_does_not_run_is_known() {
    let id = item_id;
    let mut player = Player::new(&[("q0", 2)]);
    let items = [
        planned("a", &[]).locks(&["x"]),
        planned("b", &[]).locks(&["x"]),
        planned("c", &["a", "b"]),
        planned("d", &[]).executor("other"),
        planned("e", &[]),
    ];
    player.open_unlogged("run", opened("q0"), &items);
    assert_eq!(why(&player, "run", "a"), [Blocked::NoDriver]);
    player.play("run", |state| decide::logged(state, place(8))).unwrap();
    assert_eq!(why(&player, "run", "a"), [], "it may start at once");
    assert_eq!(why(&player, "run", "c"), [Blocked::Dependency { items: vec![id("a"), id("b")] }]);
    player.capacity.down.insert(enc("remote"), "no room".to_owned());
    let down = Blocked::TargetDown { target: enc("remote"), detail: "no room".to_owned() };
    assert_eq!(why(&player, "run", "d"), [down]);
    assert_eq!(player.lease_all(), ["a", "e"]);
    assert_eq!(why(&player, "run", "a"), [], "it runs");
    assert_eq!(why(&player, "run", "b"), [Blocked::Lock { key: enc("x"), run: run_id("run"), item: id("a") }]);
    player.capacity.down.clear();
    assert_eq!(why(&player, "run", "d"), [Blocked::Slot { queue: enc("q0"), concurrency: 2 }]);
    player.play("run", |state| decide::hold(state, HoldMode::Drain, word("later"), None)).unwrap();
    assert_eq!(why(&player, "run", "d"), [Blocked::Hold]);
    player.play("run", decide::release).unwrap();
    player.finish("run", "e", Report::Fail(Reason::AgentExit));
    let until = player.item("run", "e").not_before.unwrap();
    assert_eq!(why(&player, "run", "e"), [Blocked::BackOff { until }]);
    player.ms = 100_000;
    assert_eq!(why(&player, "run", "e"), [], "the back-off is over");
    player.finish("run", "a", Report::Ask);
    let question = player.item("run", "a").question.as_ref().unwrap().asked;
    assert_eq!(why(&player, "run", "a"), [Blocked::Question { question }]);
    player.lease_all();
    player.cancel("run", Some("b")).unwrap();
    let since = player.now();
    player.ms += STOP_SECONDS_MAX * 1000;
    assert_eq!(why(&player, "run", "b"), [Blocked::Stopping]);
    player.ms += 1;
    assert_eq!(why(&player, "run", "b"), [Blocked::StopUnverified { since }]);
    player.end("run", "b", Report::Lost).unwrap();
    assert_eq!(why(&player, "run", "b"), [], "it is over");
    player.capacity.executors.remove(&enc("other"));
    let gone = "the executor other is not configured any more".to_owned();
    player.finish("run", "d", Report::Fail(Reason::AgentExit));
    player.ms += 100_000;
    assert_eq!(why(&player, "run", "d"), [Blocked::TargetDown { target: enc("other"), detail: gone }]);
    assert_eq!(player.board.blocked(&run_id("run"), 99, player.now(), &player.capacity), []);
}
