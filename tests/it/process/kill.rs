//! SIGKILL at any moment: what was confirmed is delivered.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Client, Receiver, Reply, Run, eventually, free_port, sink, write_flow};

/// How often the process is killed.
const KILLS: usize = 100;
/// Clients that post at the same time.
const CLIENTS: usize = 4;
/// Every n-th delivery is refused once with a retryable status, so that kills also hit retries
/// and parked events.
const REFUSE_EVERY: usize = 7;

/// Posts events one after the other and notes every id that was confirmed with 2xx.
async fn post(client: usize, uri: String, stop: Arc<AtomicBool>, next: Arc<AtomicU64>, confirmed: Confirmed) {
    let http = Client::new();
    while !stop.load(Ordering::SeqCst) {
        let id = format!("{client}-{}", next.fetch_add(1, Ordering::SeqCst));
        match http.event(&uri, &id, "com.example.kill", "{\"n\": 1}").await {
            Ok(answer) if (200..300).contains(&answer.code) => {
                confirmed.lock().unwrap().insert(id);
            }
            // Refused, or killed in the middle: whether it was kept is unknown, so it does not count.
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

type Confirmed = Arc<Mutex<HashSet<String>>>;

#[tokio::test(flavor = "multi_thread")]
async fn every_confirmed_event_is_delivered_though_the_process_is_killed_a_hundred_times() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::answering(|n, _| Reply::code(if n % REFUSE_EVERY == 0 { 503 } else { 204 })).await;
    let port = free_port();
    write_flow(folder.path(), port, &sink(&receiver.uri("/")));
    let run = Run::new(folder.path());

    let (stop, next, confirmed) = (Arc::new(AtomicBool::new(false)), Arc::default(), Confirmed::default());
    let uri = format!("http://127.0.0.1:{port}/");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| tokio::spawn(post(client, uri.clone(), stop.clone(), Arc::clone(&next), confirmed.clone())))
        .collect();

    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..KILLS {
        let process = run.start().await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..150))).await;
        process.kill().await;
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }

    let process = run.start().await;
    let confirmed = confirmed.lock().unwrap().clone();
    assert!(confirmed.len() > KILLS, "too little was confirmed to prove anything: {}", confirmed.len());
    eventually("every confirmed event is delivered", || async {
        let seen: HashSet<String> = delivered(&receiver).into_keys().collect();
        confirmed.is_subset(&seen)
    })
    .await;
    assert_eq!(process.stop().await, Some(0));

    // What came more than once came as itself: an id that nobody posted would be a new event.
    let posted = next.load(Ordering::SeqCst);
    for id in delivered(&receiver).keys() {
        let number: u64 = id.split_once('-').unwrap().1.parse().unwrap();
        assert!(number < posted, "{id} was never posted");
    }
}

/// How often each event was taken by the receiver.
fn delivered(receiver: &Receiver) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for (n, request) in receiver.seen().iter().enumerate() {
        if n % REFUSE_EVERY != 0 {
            *times.entry(request.header("ce-id").to_owned()).or_default() += 1;
        }
    }
    times
}
