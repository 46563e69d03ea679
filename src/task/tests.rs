use super::*;

#[test]
fn pauses_grow_to_the_cap_and_jitter_adds_at_most_its_share() {
    let backoff = Backoff::default();
    assert_eq!(backoff.pause_with(1, 0.0), Duration::from_millis(200));
    assert_eq!(backoff.pause_with(3, 0.0), Duration::from_millis(800));
    assert_eq!(backoff.pause_with(60, 0.0), Duration::from_secs(300));
    assert_eq!(backoff.pause_with(1, 1.0), Duration::from_millis(240));
    assert_eq!(backoff.pause_with(u32::MAX, 1.0), Duration::from_secs(360));
}

#[test]
fn a_manual_clock_moves_only_when_told() {
    let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
    clock.advance(Duration::from_millis(1500));
    assert_eq!(clock.now().as_millisecond(), 1500);
}

#[tokio::test]
async fn a_failing_task_stops_its_group_and_its_fault_is_returned() {
    let parent = Shutdown::new();
    let mut group = Group::new(&parent);
    let stop = group.shutdown().clone();
    group.spawn(async move {
        stop.requested().await;
        Ok(())
    });
    group.spawn(async { Err(Fault::new(FaultKind::Unavailable, "listen", "port taken")) });
    let fault = group.join().await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(!parent.is_requested(), "a child's failure is the parent's decision");
}

#[tokio::test]
async fn a_panic_is_an_internal_fault() {
    let mut group = Group::new(&Shutdown::new());
    group.spawn(async { panic!("boom") });
    assert_eq!(group.join().await.unwrap_err().kind(), FaultKind::Internal);
}

#[tokio::test(start_paused = true)]
async fn a_stop_has_one_deadline_for_all_that_end_one_after_the_other() {
    let (first, second) = (Duration::from_secs(1), Duration::from_secs(5));
    let shutdown = Shutdown::new();
    let child = shutdown.child();
    assert_eq!(child.left(second), second, "nothing is asked for yet");
    shutdown.request_within(first);
    assert!(child.is_requested());
    sleep(Duration::from_millis(400)).await;
    shutdown.request_within(second);
    assert_eq!(child.left(second), Duration::from_millis(600));
    sleep(second).await;
    assert_eq!(child.left(second), Duration::ZERO);
}

#[test]
fn virtual_time_jumps_from_timer_to_timer_when_nothing_is_left_to_do() {
    let start: jiff::Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
    let told = simulate(start, |clock| async move {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let watch = stopwatch();
        let (sender, mut told) = tokio::sync::mpsc::channel(8);
        let mut group = Group::new(&Shutdown::new());
        for (name, pause) in [("late", hours(5)), ("early", hours(1))] {
            let (sender, clock) = (sender.clone(), clock.clone());
            group.spawn(async move {
                sleep(pause).await;
                give_way().await;
                sender.send(format!("{name} {}", clock.now())).await.unwrap();
                Ok(())
            });
        }
        drop(sender);
        assert_eq!(within(hours(2), std::future::pending::<()>()).await, None);
        assert_eq!(within(hours(2), async { 7 }).await, Some(7), "what is ready is not waited for");
        assert_eq!(watch(), hours(2));
        group.join().await.unwrap();
        let mut all = Vec::new();
        while let Some(line) = told.recv().await {
            all.push(line);
        }
        all
    });
    let expected = ["early 2026-01-05T13:00:00Z", "late 2026-01-05T17:00:00Z"];
    assert_eq!(told.unwrap(), expected);
    assert_eq!(simulate(start, |_| async { panic!("boom") }).unwrap_err().kind(), FaultKind::Internal);
}
