use proptest::prelude::*;

use super::*;
use crate::api::trigger::ResetByTime;
use crate::api::{FieldPath, Problems};

const NAMES: &[&str] = &["a", "b", "c", "d"];

fn rules(text: &str, hold: u64) -> Rules {
    let mut problems = Problems::new();
    let condition = Condition::parse(text, NAMES, &FieldPath::root(), &mut problems);
    Rules {
        condition: condition.unwrap_or_else(|| panic!("{problems}")),
        window: None,
        negation_window: NEGATION_WINDOW,
        hold: Duration::from_secs(hold),
        resets: Vec::new(),
        max_keys: usize::MAX,
    }
}

fn key(text: &str) -> Key {
    Key::from(text)
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(i64::try_from(second).unwrap()).unwrap()
}

/// Plays `a@1 b@20` and tells what fired: the time, and the events in the order of their names. `a:k@1` has the key k.
fn play(rules: &Rules, events: &str) -> Vec<String> {
    let mut state = State::default();
    let mut fired = Vec::new();
    for event in events.split_whitespace() {
        let (name, second) = event.split_once('@').unwrap();
        let time = at(second.parse().unwrap());
        late(rules, &mut state, time, &mut fired);
        let (name, of) = name.split_once(':').unwrap_or((name, ""));
        let input = NAMES.iter().position(|known| *known == name).unwrap();
        let (step, evicted) = rules.observe(&mut state, &key(of), time, &[(input, event.to_owned())]);
        if evicted > 0 {
            fired.push(format!("evicted {evicted} by {event}"));
        }
        match step {
            Step::Fired(found) => fired.push(told(&found)),
            Step::Blocked => fired.push(format!("blocked {event}")),
            Step::Waiting | Step::Holding => {}
            Step::Full => panic!("full"),
        }
    }
    late(rules, &mut state, at(1_000_000), &mut fired);
    fired
}

fn late(rules: &Rules, state: &mut State<String>, time: Timestamp, fired: &mut Vec<String>) {
    while let Some(found) = rules.due(state, time) {
        fired.push(told(&found));
    }
}

fn told(found: &Match<String>) -> String {
    let events: Vec<_> = found.events.values().map(|event| event.item.as_str()).collect();
    format!("{}: {}", found.deadline.as_second(), events.join(" "))
}

#[test]
fn negation_looks_back_and_a_hold_looks_ahead() {
    let check = |events: &str, now: &[&str], held: &[&str]| {
        assert_eq!(play(&rules("a && !b", 0), events), now, "{events}");
        assert_eq!(play(&rules("a && !b", 30), events), held, "{events} with a hold");
    };
    check("a@1", &["1: a@1"], &["31: a@1"]);
    check("a@1 b@20", &["1: a@1"], &[]);
    check("a@1 b@31", &["1: a@1"], &[]);
    check("a@1 b@40", &["1: a@1"], &["31: a@1"]);
    check("b@1 a@30", &["blocked a@30"], &["blocked a@30"]);
    check("b@1 a@61", &["61: a@61"], &["91: a@61"]);
    check("b@1 a@30 a@70", &["blocked a@30", "70: a@70"], &["blocked a@30", "100: a@70"]);
    check("a@1 a@2 b@32", &["1: a@1", "2: a@2"], &["31: a@1"]);
}

#[test]
fn the_latest_of_each_is_held_and_used_up_when_it_fires() {
    let check = |text: &str, events: &str, fired: &[&str]| assert_eq!(play(&rules(text, 0), events), fired, "{events}");
    check("a && b", "a@1 a@2 b@3 b@4 a@5", &["3: a@2 b@3", "5: a@5 b@4"]);
    check("a && b || c", "a@1 c@2 b@3", &["2: a@1 c@2"]);
    check("a && c && !b", "a@1 b@2 c@3 c@70", &["blocked c@3", "70: a@1 c@70"]);
    // The view of what is negated is another one than the view of what is held.
    check("(a && b) || (c && !a)", "a@1 c@2 b@3", &["blocked c@2", "3: a@1 b@3"]);
    check("a && b", "c@1 a@2 d@3 b@4", &["4: a@2 b@4"]);
}

#[test]
fn what_is_older_than_the_window_is_forgotten_when_another_arrives() {
    let windowed = Rules { window: Some(Duration::from_secs(60)), ..rules("a && b", 0) };
    assert_eq!(play(&windowed, "a@1 b@61 a@100 b@161 a@221"), ["61: a@1 b@61", "221: a@221 b@161"]);
}

#[test]
fn a_reset_forgets_what_is_held_and_a_missed_one_too() {
    let mut problems = Problems::new();
    let spec = ResetByTime { cron: "0 0 * * *".to_owned(), timezone: Some("Europe/Berlin".to_owned()) };
    let reset = Reset::parse(&spec, &FieldPath::root(), &mut problems).unwrap();
    // Midnight in Berlin is an hour before that of UTC.
    assert!(reset.between(at(82_799), at(82_800)) && !reset.between(at(82_800), at(86_400)));
    let daily = Rules { resets: vec![reset], ..rules("a && b", 0) };
    assert_eq!(play(&daily, "a@100 b@82799"), ["82799: a@100 b@82799"]);
    assert_eq!(play(&daily, "a@100 b@82800"), [""; 0]);
    assert_eq!(play(&daily, "a@82800 b@82801"), ["82801: a@82800 b@82801"]);
    assert_eq!(play(&daily, "a@100 b@600000"), [""; 0]);
}

#[test]
fn one_event_of_several_inputs_fulfils_both() {
    let mut state = State::default();
    let step = rules("a && b", 0).observe(&mut state, &key(""), at(1), &[(0, 1), (1, 1)]);
    assert!(matches!(step, (Step::Fired(found), 0) if found.events.len() == 2), "it is both");
}

#[test]
fn too_many_that_are_held_change_nothing() {
    let rules = rules("a && !b", 30);
    let mut state = State::default();
    for number in 0..MAX_HOLDS {
        assert_eq!(rules.observe(&mut state, &key(""), at(1), &[(0, number)]), (Step::Holding, 0));
    }
    let before = state.clone();
    assert_eq!(rules.observe(&mut state, &key(""), at(2), &[(0, 0)]), (Step::Full, 0));
    assert_eq!(state, before);
}

/// For all orders in which a set of inputs can arrive: it fires exactly when the condition first holds for what came.
#[test]
fn all_assignments_of_up_to_four_inputs_fire_as_the_condition_says() {
    for text in
        ["a && b", "a && b && c && d", "a && (b || c)", "a || b && c", "(a || b) && (c || d)", "a && b || c && d"]
    {
        let rules = rules(text, 0);
        for bits in 0..16_usize {
            for turn in 0..4 {
                let order = (0..4).map(|input| (input + turn) % 4).filter(|input| bits >> input & 1 == 1);
                let (mut state, mut since) = (State::default(), BTreeSet::new());
                for (second, input) in (1..).zip(order) {
                    since.insert(input);
                    let holds = rules.condition.holds(|input| since.contains(&input), |_| false);
                    let (step, _) = rules.observe(&mut state, &key(""), at(second), &[(input, input)]);
                    assert_eq!(matches!(step, Step::Fired(_)), holds, "{text}: {bits:04b} from {turn}");
                    if holds {
                        since.clear();
                    }
                }
            }
        }
    }
}

proptest! {
    /// Whatever arrives: no event is in two matches, a match holds, and the state stays as small as the condition.
    #[test]
    fn no_event_is_used_twice_and_the_state_is_bounded(
        text in prop::sample::select(vec!["a && b", "a && !b", "(a || c) && d && !b", "(a && b) || (c && !a)"]),
        hold in prop::sample::select(vec![0_u64, 5]),
        window in prop::option::of(1_u64..20),
        arrivals in prop::collection::vec((0_usize..4, 0_u64..4), 0..60),
    ) {
        let rules = Rules { window: window.map(Duration::from_secs), ..rules(text, hold) };
        let (mut state, mut now, mut used) = (State::default(), 0, BTreeSet::new());
        let mut check = |found: &Match<usize>| {
            let (events, heard) = (&found.events, &found.heard);
            assert!(rules.condition.holds(|input| events.contains_key(&input), |input| heard.contains(&input)));
            assert!(events.values().all(|event| used.insert(event.item)), "used twice");
        };
        for (number, (input, pause)) in arrivals.into_iter().enumerate() {
            now += pause;
            while let Some(found) = rules.due(&mut state, at(now)) {
                check(&found);
            }
            if let (Step::Fired(found), _) = rules.observe(&mut state, &key(""), at(now), &[(input, number)]) {
                check(&found);
            }
            prop_assert!(state.held.len() <= 1 && state.marks.len() <= 1);
        }
        while let Some(found) = rules.due(&mut state, at(now + 100)) {
            check(&found);
        }
        prop_assert!(state.holds.is_empty());
    }

    /// Each key is as if it were alone, as long as there is room for all.
    #[test]
    fn keys_do_not_see_each_other(
        text in prop::sample::select(vec!["a && b", "a && !b", "(a || c) && d && !b", "(a && b) || (c && !a)"]),
        hold in prop::sample::select(vec![0_u64, 5]),
        window in prop::option::of(1_u64..20),
        arrivals in prop::collection::vec((0_usize..4, 0_usize..3, 0_u64..4), 0..60),
    ) {
        let rules = Rules { window: window.map(Duration::from_secs), max_keys: 3, ..rules(text, hold) };
        let (mut now, mut all, mut each) = (0, String::new(), vec![String::new(); 3]);
        for (input, of, pause) in arrivals {
            now += pause;
            let event = format!("{}:{of}@{now} ", NAMES[input]);
            all.push_str(&event);
            each[of].push_str(&event);
        }
        let mut apart: Vec<String> = each.iter().flat_map(|events| play(&rules, events)).collect();
        let mut together = play(&rules, &all);
        apart.sort();
        together.sort();
        prop_assert_eq!(together, apart);
    }

    /// However many keys come: as many are remembered as may be, and each one beyond is counted.
    #[test]
    fn keys_are_bounded_and_those_forgotten_are_counted(
        max_keys in 1_usize..5,
        arrivals in prop::collection::vec((prop::sample::select(vec![0_usize, 1]), 0_usize..8), 0..60),
    ) {
        let rules = Rules { max_keys, ..rules("a && c && !b", 0) };
        let (mut state, mut keys, mut counted) = (State::default(), [BTreeSet::new(), BTreeSet::new()], 0);
        for (second, (input, of)) in (0..).zip(arrivals) {
            let of = key(&of.to_string());
            let (_, evicted) = rules.observe(&mut state, &of, at(second / 10), &[(input, second)]);
            counted += evicted;
            // Blocked events are not held.
            if input == 1 || state.held.get(&of, 0).is_some() {
                keys[input].insert((second, of));
            }
            prop_assert!(state.held.len() <= max_keys && state.marks.len() <= max_keys);
        }
        let distinct = |side: &BTreeSet<(u64, Key)>| side.iter().map(|(_, of)| of.clone()).collect::<BTreeSet<_>>().len();
        let beyond = |side: usize| distinct(&keys[side]).saturating_sub(max_keys);
        prop_assert!(counted >= beyond(0) + beyond(1), "{counted}");
    }
}

#[test]
fn only_events_of_one_key_are_joined() {
    let check = |text: &str, events: &str, fired: &[&str]| assert_eq!(play(&rules(text, 0), events), fired, "{events}");
    check("a && b", "a:1@1 b:2@2 a:2@3 b:1@4", &["3: a:2@3 b:2@2", "4: a:1@1 b:1@4"]);
    check("a && !b", "b:1@1 a:2@2 a:1@3", &["2: a:2@2", "blocked a:1@3"]);
    assert_eq!(play(&rules("a && !b", 30), "a:1@1 a:2@1 b:2@9"), ["31: a:1@1"]);
}

#[test]
fn of_too_many_keys_the_one_that_was_touched_longest_ago_is_forgotten_and_counted() {
    let two = Rules { max_keys: 2, ..rules("a && b && c", 0) };
    assert_eq!(
        play(&two, "a:1@1 a:2@2 b:1@3 a:3@4 c:1@5 b:2@6 c:2@7"),
        ["evicted 1 by a:3@4", "5: a:1@1 b:1@3 c:1@5"],
        "the first key was touched after the second"
    );
    // What is too old does not count, and is not counted.
    let windowed = Rules { window: Some(Duration::from_secs(10)), ..two };
    assert_eq!(play(&windowed, "a:1@1 a:2@2 a:3@20 b:3@21 c:3@22"), ["22: a:3@20 b:3@21 c:3@22"]);
    let marks = Rules { max_keys: 1, ..rules("a && !b", 0) };
    assert_eq!(play(&marks, "b:1@1 b:2@2 a:1@3 a:2@4"), ["evicted 1 by b:2@2", "3: a:1@3", "blocked a:2@4"]);
    assert_eq!(play(&marks, "b:1@1 b:2@70 a:2@71"), ["blocked a:2@71"]);
}

/// What is told to have changed is all that did.
#[test]
fn every_change_of_the_state_is_told() {
    let rules = Rules { max_keys: 2, window: Some(Duration::from_secs(9)), ..rules("(a || c) && d && !b", 5) };
    let mut random = fastrand::Rng::with_seed(7);
    let (mut state, mut copy) = (State::default(), State::<u64>::default());
    let mut now = 0;
    for number in 0..3000_u64 {
        now += random.u64(0..3);
        if let Some(found) = rules.due(&mut state, at(now)) {
            assert!(found.deadline < at(now));
        }
        let of = key(&random.u8(0..4).to_string());
        rules.observe(&mut state, &of, at(now), &[(random.usize(0..4), number)]);
        let changed = std::mem::take(&mut state.changed);
        for (key, input) in &changed.held {
            match state.held.get(key, *input) {
                Some(held) => copy.held.insert(key, *input, held.clone(), held.at),
                None => drop(copy.held.remove(key, *input)),
            }
        }
        for (key, input) in &changed.marks {
            match state.marks.get(key, *input) {
                Some(mark) => copy.marks.insert(key, *input, *mark, *mark),
                None => drop(copy.marks.remove(key, *input)),
            }
        }
        for number in &changed.holds {
            match state.holds.get(number) {
                Some(found) => copy.holds.insert(*number, found.clone()),
                None => copy.holds.remove(number),
            };
        }
        copy.next_hold = state.next_hold;
        let values = |state: &State<u64>| {
            let keys = (0..4).map(|of| key(&of.to_string()));
            keys.map(|of| (state.held.of(&of).cloned(), state.marks.of(&of).cloned())).collect::<Vec<_>>()
        };
        assert_eq!((values(&copy), &copy.holds), (values(&state), &state.holds));
    }
}
