//! What is known of a cluster.

use serde_json::json;

use super::*;
use crate::operator::child::{MANAGED_BY, MANAGER, OF};
use crate::operator::resource::{DEPLOYMENT, TRIGGER};

fn place(namespace: &str, name: &str) -> Place {
    (namespace.to_owned(), name.to_owned())
}

fn kept(value: u64, version: u64) -> Kept {
    Kept::new(&Resource::of(TRIGGER), &json!({"value": value}), version)
}

fn told(change: Option<Change>) -> Option<(Option<Json>, Option<Json>)> {
    let value = |kept: Option<Arc<Kept>>| kept.map(|kept| kept.read()["value"].clone());
    change.map(|change| (value(change.before), value(change.after)))
}

#[test]
fn what_is_read_again_tells_only_what_has_changed() {
    let (world, kind) = (World::default(), Resource::of(TRIGGER));
    world.expect(&kind, 2);
    let (changes, known) =
        world.replace(&kind, Some("a"), vec![(place("a", "x"), kept(1, 1)), (place("a", "y"), kept(1, 1))]);
    assert_eq!((changes.len(), known), (2, false));
    assert_eq!(world.state(&kind), State::Unread, "the other namespace has not been read");
    let (changes, known) = world.replace(&kind, Some("b"), vec![(place("b", "x"), kept(1, 1))]);
    assert_eq!((changes.len(), known), (1, true));
    world.set(&kind, Some("a"), place("a", "z"), kept(1, 2));
    let (changes, known) =
        world.replace(&kind, Some("a"), vec![(place("a", "x"), kept(2, 3)), (place("a", "y"), kept(1, 1))]);
    let told: Vec<(&str, bool)> =
        changes.iter().map(|change| (change.place.1.as_str(), change.after.is_some())).collect();
    assert_eq!((told, known), (vec![("x", true), ("z", false)], false));
    assert_eq!(world.users(&kind, None, "default").len(), 3);
    assert_eq!(world.list(&kind, "a").len(), 2);
    assert_eq!(world.get(&kind, "a", "x").unwrap(), json!({"value": 2}));
}

#[test]
fn a_kind_can_go_and_come() {
    let (world, kind) = (World::default(), Resource::of(TRIGGER));
    world.expect(&kind, 1);
    assert!(world.refuse(&kind, State::Missing) && !world.refuse(&kind, State::Missing));
    let (_, known) = world.replace(&kind, None, Vec::new());
    assert!(known && world.state(&kind) == State::Known);
}

#[test]
fn an_answer_and_the_watch_may_come_in_any_order() {
    let (world, kind, x) = (World::default(), Resource::of(TRIGGER), place("a", "x"));
    world.expect(&kind, 1);
    world.replace(&kind, None, Vec::new());
    // The answer is first: the watch has nothing to add.
    assert_eq!(told(world.answered(&kind, x.clone(), kept(1, 4))), Some((None, Some(json!(1)))));
    assert_eq!(told(world.set(&kind, None, x.clone(), kept(1, 4))), None);
    // Somebody has changed it before we did: what we were answered stands, and it is looked at again.
    world.answered(&kind, x.clone(), kept(3, 6));
    assert_eq!(told(world.set(&kind, None, x.clone(), kept(2, 5))), Some((Some(json!(3)), Some(json!(3)))));
    assert_eq!(told(world.set(&kind, None, x.clone(), kept(3, 6))), None);
    // The watch is first, and is further already: the answer is old.
    world.set(&kind, None, x.clone(), kept(5, 8));
    assert_eq!(told(world.answered(&kind, x.clone(), kept(4, 7))), None);
    assert_eq!(world.get(&kind, "a", "x").unwrap()["value"], 5);
    world.unset(&kind, None, x.clone(), 9);
    assert_eq!(told(world.answered(&kind, x, kept(5, 8))), None);
    assert!(!world.has(&kind, "a", "x"));
}

#[test]
fn children_are_found_by_their_owners() {
    let (world, kind) = (World::default(), Resource::of(DEPLOYMENT));
    let of = |owner: &str| {
        let metadata = json!({"labels": {MANAGED_BY.0: MANAGER}, "annotations": {OF: owner}});
        Kept::new(&kind, &json!({"metadata": metadata}), 1)
    };
    for (name, owner) in [("r1", "Router a"), ("r2", "Router b"), ("t", "Trigger a"), ("t2", "Trigger a")] {
        world.set(&kind, None, place("n", name), of(owner));
    }
    world.set(&kind, None, place("m", "r1"), of("Router a"));
    let owned = |marks: &str| world.owned(&kind, "n", marks).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(owned("Router "), ["r1", "r2"]);
    assert_eq!(owned("Trigger a"), ["t", "t2"]);
    world.set(&kind, None, place("n", "t"), of("Trigger b"));
    world.unset(&kind, None, place("n", "r2"), 2);
    assert_eq!(owned("Router "), ["r1"]);
    assert_eq!(owned("Trigger a"), ["t2"]);
}
