//! A house with alarms, and receivers that do as they are told.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base::Duration;
use ledger::{Act, Activity, ObjectRef};
use watch::{
    Alarm, AlarmPlan, AlarmRoute, AlarmState, AlarmStep, Alarms, CarryFuture, Courier, MessageKind,
    Messenger, Notice, ShownAlarm, Untaken,
};

use crate::support::House;

/// A receiver that does as it is told, and keeps what it took.
pub(crate) struct Receiver {
    route: String,
    answer: Mutex<Result<(), Untaken>>,
    pub(crate) asked: AtomicUsize,
    taken: Mutex<Vec<Notice>>,
    /// It never answers.
    hangs: bool,
}

impl Receiver {
    pub(crate) fn answers(&self, answer: Result<(), Untaken>) {
        *self.answer.lock().unwrap() = answer;
    }
    /// What it took since it was looked at last.
    pub(crate) fn took(&self) -> Vec<Notice> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
    pub(crate) fn kinds(&self) -> Vec<MessageKind> {
        self.took().iter().map(|one| one.kind).collect()
    }
    /// How often it was asked since it was looked at last.
    pub(crate) fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

impl Courier for Receiver {
    fn route(&self) -> &str {
        &self.route
    }
    fn carry<'a>(&'a self, notice: &'a Notice) -> CarryFuture<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.hangs {
                std::future::pending::<()>().await;
            }
            let answer = *self.answer.lock().unwrap();
            if answer.is_ok() {
                self.taken.lock().unwrap().push(notice.clone());
            }
            answer
        })
    }
}

/// A house with alarms.
pub(crate) struct Post {
    pub(crate) house: House,
    pub(crate) alarms: Alarms,
    pub(crate) messenger: Messenger,
    pub(crate) receivers: BTreeMap<&'static str, Arc<Receiver>>,
}

pub(crate) fn plan(steps: &[(&'static [&'static str], i64)]) -> AlarmPlan {
    let route = |name: &str| AlarmRoute { name: name.into(), kind: "slack".into() };
    let step = |(routes, wait): &(&'static [&'static str], i64)| AlarmStep {
        routes: routes.iter().map(|one| (*one).to_owned()).collect(),
        wait: Duration::from_seconds(*wait),
    };
    AlarmPlan {
        routes: ["a", "b", "c"].map(route).to_vec(),
        steps: steps.iter().map(step).collect(),
        server: "https://tenet.test".into(),
        ..AlarmPlan::default()
    }
}

pub(crate) fn messenger(
    house: &House,
    alarms: &Alarms,
    receivers: &BTreeMap<&'static str, Arc<Receiver>>,
) -> Messenger {
    let couriers = receivers.values().map(|one| Arc::clone(one) as Arc<dyn Courier>).collect();
    Messenger::new(alarms.clone(), couriers, house.server())
}

pub(crate) fn receivers(hangs: bool) -> BTreeMap<&'static str, Arc<Receiver>> {
    let one = |name: &'static str| {
        let (answer, asked, taken) = (Mutex::new(Ok(())), AtomicUsize::new(0), Mutex::default());
        (name, Arc::new(Receiver { route: name.into(), answer, asked, taken, hangs }))
    };
    ["a", "b", "c"].map(one).into()
}

impl Post {
    /// The first test alarm has gone out, and everybody took it.
    pub(crate) async fn open(h: testkit::Harness, plan: AlarmPlan) -> Self {
        let house = House::open(h).await;
        let alarms = Alarms::new(house.watch.clone(), plan);
        let receivers = receivers(false);
        let messenger = messenger(&house, &alarms, &receivers);
        house.sequence().await;
        let post = Self { house, alarms, messenger, receivers };
        post.go().await;
        for receiver in post.receivers.values() {
            assert_eq!(receiver.kinds(), [MessageKind::Test]);
            receiver.asked();
        }
        post
    }

    pub(crate) fn receiver(&self, name: &str) -> &Receiver {
        &self.receivers[name]
    }

    /// Something happened, and is in the log.
    pub(crate) async fn happens(&self, act: Act) {
        self.house.h.data.record_system(&self.house.server(), act).await.unwrap();
        self.house.sequence().await;
    }

    pub(crate) async fn damage(&self) {
        self.happens(Act::new(Activity::IntegrityViolation, ObjectRef::new("record", "rec_1"))).await;
    }

    pub(crate) async fn crash(&self) {
        self.happens(Act::failed(Activity::ServerCrashDetected, ObjectRef::new("server", "-"), "gone")).await;
    }

    /// What is due is done, until nothing is: with what follows from it.
    pub(crate) async fn go(&self) {
        loop {
            self.messenger.look().await.unwrap();
            let count = self.messenger.deliver_due().await.unwrap();
            self.house.sequence().await;
            if count == 0 {
                break self.messenger.look().await.unwrap();
            }
        }
    }

    pub(crate) async fn later(&self, seconds: i64) {
        // What operators looked at waits for the log, which would stand still otherwise.
        self.house.sequence().await;
        self.house.h.clock.advance(Duration::from_seconds(seconds));
        self.go().await;
    }

    pub(crate) async fn all(&self) -> Vec<Alarm> {
        let by = self.house.by(&self.house.ann).await;
        let mut all = self.alarms.list(&by, true, None, 500).await.unwrap().items;
        all.retain(|one| one.state != AlarmState::Test);
        // Ids of one instant are in no order.
        all.sort_by_key(|one| (one.first_at, one.rule.clone(), one.about.clone()));
        all
    }

    pub(crate) async fn only(&self) -> Alarm {
        let mut all = self.all().await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    pub(crate) async fn shown(&self, alarm: &Alarm) -> ShownAlarm {
        self.alarms.show(&self.house.by(&self.house.ann).await, alarm.id).await.unwrap()
    }

    pub(crate) async fn acknowledge(&self, alarm: &Alarm, seconds: i64) {
        let until = self.house.now().plus(Duration::from_seconds(seconds));
        let by = self.house.by(&self.house.ann).await;
        self.alarms.acknowledge(&by, alarm.id, "looking at it", until).await.unwrap().into_inner();
    }

    /// Who took what since they were looked at last: `a raise`.
    pub(crate) fn told(&self) -> Vec<String> {
        let of = |(name, one): (&&str, &Arc<Receiver>)| {
            one.kinds().into_iter().map(|kind| format!("{name} {}", kind.as_str())).collect::<Vec<_>>()
        };
        self.receivers.iter().flat_map(of).collect()
    }

    /// The acts of alarms since the first so many events, those of sending aside.
    pub(crate) fn acts(&self, from: usize) -> Vec<String> {
        let events = self.house.events().into_iter().skip(from);
        let ours = events.map(|one| one.activity).filter(|one| one.starts_with("alarm."));
        ours.filter(|one| one != "alarm.send" && one != "alarm.deliver" && one != "alarm.list").collect()
    }
}
