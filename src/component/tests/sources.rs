use super::*;

/// A source that hands out two events and remembers what became of them.
struct Two {
    outlet: flow::Outlet,
    outcome: Arc<Outcome>,
}

#[derive(Default)]
struct Outcome(StdMutex<Vec<(u64, String)>>);

impl Settle for Outcome {
    fn settle(&self, token: u64, verdict: Verdict) {
        let word = match verdict {
            Verdict::Ack => "ack".to_owned(),
            Verdict::Nack(fault) => fault.kind().as_str().to_owned(),
            Verdict::Dropped => "dropped".to_owned(),
        };
        self.0.lock().unwrap().push((token, word));
    }
}

#[async_trait]
impl Source for Two {
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        let large = Draft::new("large", "/s", "t").data(Data::Binary(&vec![7; MAX_MESSAGE])).build().unwrap();
        for (token, event) in (0..).zip([event("one"), large, event("two")]) {
            let received = Received {
                event: Ok(event),
                position: Position::default(),
                appended: jiff::Timestamp::UNIX_EPOCH,
                attempt: 1,
                receipt: Receipt::new(self.outcome.clone(), token),
            };
            self.outlet.send(received).await?;
        }
        shutdown.requested().await;
        Ok(())
    }
}

async fn source() -> (Arc<Outcome>, Served) {
    let (outlet, events) = outlet(8);
    let outcome = Arc::new(Outcome::default());
    let source = Box::new(Two { outlet, outcome: outcome.clone() });
    let served = Served::start(vec![Made::Source { source, events }]).await;
    served.init("bus").await;
    (outcome, served)
}

#[tokio::test]
async fn an_answer_reaches_the_origin_and_what_cannot_be_sent_goes_back_to_it() {
    let (outcome, served) = source().await;
    let mut pulled = served.pull(&[("penstockInFlight", "1")]).await;
    let one = pulled.next().await;
    pulled.ack(&one).await;
    let two = pulled.next().await;
    pulled.nack(&two).await;
    let expected = [(0, "ack".to_owned()), (1, "too_large".to_owned()), (2, "unavailable".to_owned())];
    let settled = async {
        while outcome.0.lock().unwrap().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    within(Duration::from_secs(10), settled).await.expect("not all events were settled");
    assert_eq!(*outcome.0.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_source_can_only_be_subscribed_to() {
    let (_, served) = source().await;
    let status = served.publish(b"x", &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("it can only be subscribed to"), "{status}");
    let features = served.pub_sub().features(named("bus", FeaturesRequest {})).await.unwrap().into_inner();
    assert!(features.features.is_empty());
}
