//! The catalogue of activities: one variant for each thing that Tenet does and records. What is not
//! here can't be recorded, and what can't be recorded can't be done.
//!
//! Each maps to a class and activity of OCSF 1.x (<https://schema.ocsf.io>). Where OCSF has no word
//! for it, the activity is 99, Other, and `activity_name` is ours.

use std::fmt;

/// A class of OCSF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Something is detected.
    DetectionFinding,
    /// Somebody proves who they are, or fails to.
    Authentication,
    /// A managed thing (account, client, key, repository, hold) is made, changed or removed.
    EntityManagement,
    /// Connections.
    NetworkActivity,
    /// The server's own life.
    ApplicationLifecycle,
    /// Customers' data is touched, or an act is refused.
    ApiActivity,
    /// Tenet fails at something.
    ApplicationError,
}

impl Class {
    /// `class_uid`: the category's number times 1,000, and the class's own.
    pub const fn uid(self) -> u32 {
        match self {
            Self::DetectionFinding => 2004,
            Self::Authentication => 3002,
            Self::EntityManagement => 3004,
            Self::NetworkActivity => 4001,
            Self::ApplicationLifecycle => 6002,
            Self::ApiActivity => 6003,
            Self::ApplicationError => 6008,
        }
    }

    /// `class_name`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DetectionFinding => "Detection Finding",
            Self::Authentication => "Authentication",
            Self::EntityManagement => "Entity Management",
            Self::NetworkActivity => "Network Activity",
            Self::ApplicationLifecycle => "Application Lifecycle",
            Self::ApiActivity => "API Activity",
            Self::ApplicationError => "Application Error",
        }
    }

    /// `category_uid`.
    pub const fn category_uid(self) -> u32 {
        self.uid() / 1_000
    }
}

/// How much an event matters to the one who watches: OCSF's `severity_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// 1: the course of things.
    Informational,
    /// 2: worth knowing of.
    Low,
    /// 3: worth looking at.
    Medium,
    /// 4: to be looked at now.
    High,
    /// 5: a control is broken.
    Critical,
}

impl Severity {
    /// `severity_id`.
    pub const fn id(self) -> u8 {
        match self {
            Self::Informational => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
            Self::Critical => 5,
        }
    }
}

/// One line an activity: variant, name, class, OCSF's number and word, severity, clauses it evidences,
/// and what it means.
macro_rules! catalogue {
    ($($variant:ident $name:literal $class:ident $id:literal $word:literal $severity:ident [$($clause:literal)*] $doc:literal;)*) => {
        /// What Tenet does. The name is stable: it stands in the log for ever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Activity {
            $(#[doc = concat!("`", $name, "`: ", $doc)] $variant,)*
        }

        impl Activity {
            /// Every activity.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name, such as `record.create`: `metadata.event_code` in the event.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The activity of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// Its class in OCSF.
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// OCSF's `activity_id` within the class; 99 where OCSF has no word for it.
            pub const fn activity_id(self) -> u8 {
                match self { $(Self::$variant => $id,)* }
            }

            /// OCSF's `activity_name`: its word for `activity_id`, or ours where that is 99.
            pub const fn activity_name(self) -> &'static str {
                let word = match self { $(Self::$variant => $word,)* };
                if self.activity_id() == OTHER { self.name() } else { word }
            }

            /// Its severity when it succeeds.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// The clauses of the policy for which it is evidence, besides EL-1 to EL-3 which every
            /// event serves.
            pub const fn clauses(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($clause),*],)* }
            }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

/// OCSF's number for an activity that it has no word for.
const OTHER: u8 = 99;

catalogue! {
    ServerStart "server.start" ApplicationLifecycle 3 "Start" Informational ["RR-5"] "a server starts.";
    ServerStop "server.stop" ApplicationLifecycle 4 "Stop" Informational ["RR-5"] "a server stops in order.";
    ServerHeartbeat "server.heartbeat" ApplicationLifecycle 99 "" Informational ["AO-1"] "a server shows, in the log, that it runs and records.";
    LogGap "log.gap" DetectionFinding 1 "Create" High ["AO-1"] "a server's heartbeats left a gap, or its clock was moved: `cause` says which.";
    ClockMeasure "clock.measure" ApplicationLifecycle 99 "" Informational ["EL-5"] "the server's clock is held against NTP servers.";
    ClockSkew "clock.skew" DetectionFinding 1 "Create" High ["EL-5"] "the server's clock is off by more than the limit, or nobody can tell: events are marked.";
    ClockSync "clock.sync" ApplicationLifecycle 99 "" Low ["EL-5"] "the server's clock is known to be right again.";
    ServerCrashDetected "server.crash-detected" ApplicationError 1 "General Error" High ["RR-5"] "a server finds that it did not stop in order the last time.";
    ConfigLoad "config.load" ApplicationLifecycle 99 "" Low ["RR-5"] "a configuration takes effect.";
    DemoFill "demo.fill" ApplicationLifecycle 99 "" Low ["RR-5"] "a history is told for a demonstration, not lived: `state` says whether that begins or is complete.";
    SchemaMigrate "schema.migrate" ApplicationLifecycle 99 "" Low ["RR-5" "SD-3"] "the database's schema is brought to this version.";
    ListenerOpen "listener.open" NetworkActivity 7 "Listen" Informational ["RR-5" "TR-4"] "an address is listened on.";
    ConnectionAccept "connection.accept" NetworkActivity 1 "Open" Informational ["RR-5" "TR-4"] "connections were taken in since the last such event: `count` says how many.";
    ConnectionMake "connection.make" NetworkActivity 1 "Open" Informational ["RR-5" "TR-4"] "this server connects to another: its database.";
    ConnectionRefused "connection.refused" NetworkActivity 5 "Refuse" Low ["RR-5" "TR-4"] "a connection is refused.";

    AuthSucceed "auth.succeed" Authentication 1 "Logon" Informational ["RR-5" "CD-8"] "somebody proves who they are.";
    AuthFail "auth.fail" Authentication 1 "Logon" Medium ["RR-5" "CD-8"] "somebody fails to prove who they are.";
    TokenIssue "token.issue" Authentication 99 "" Informational ["RR-5" "CD-8"] "an access token is issued.";
    TokenRevoke "token.revoke" Authentication 2 "Logoff" Low ["RR-5" "CD-8"] "an access token is revoked.";
    TokenRefuse "token.refuse" Authentication 99 "" Medium ["RR-5" "CD-8"] "an access token is refused.";

    SessionCode "session.code" Authentication 99 "" Low ["RR-5" "CD-8"] "an operator asks for a code that opens the console once.";
    SessionBegin "session.begin" Authentication 1 "Logon" Low ["RR-5" "CD-8"] "a session of the console begins.";
    SessionContinue "session.continue" Authentication 99 "" Informational ["RR-5" "CD-8"] "a session of the console is in use.";
    SessionProve "session.prove" Authentication 1 "Logon" Low ["MS-7" "CD-8"] "in a session, an operator proves once more who it is.";
    SessionEnd "session.end" Authentication 2 "Logoff" Low ["RR-5" "CD-8"] "a session of the console is ended.";
    PasskeyAdd "passkey.add" EntityManagement 1 "Create" Medium ["RR-5" "CD-8"] "an operator adds a passkey.";
    PasskeyRemove "passkey.remove" EntityManagement 4 "Delete" Medium ["RR-5" "CD-8"] "an operator removes a passkey, and its other sessions end.";
    PasswordSet "password.set" EntityManagement 1 "Create" Medium ["RR-5" "CD-8"] "an operator sets a password, with an authenticator app.";
    PasswordRemove "password.remove" EntityManagement 4 "Delete" Medium ["RR-5" "CD-8"] "an operator's password is removed or replaced, and its other sessions end.";
    IdentityAdd "identity.add" EntityManagement 1 "Create" Medium ["RR-5" "CD-8"] "an operator is somebody at the company's provider of identities.";
    IdentityRemove "identity.remove" EntityManagement 4 "Delete" Medium ["RR-5" "CD-8"] "an operator is nobody any more at the company's provider of identities, and its other sessions end.";
    OperatorEnrol "operator.enrol" EntityManagement 6 "Enroll" Medium ["RR-3" "RR-5"] "an operator enrols a key.";
    OperatorLinkCreate "operator.link-create" EntityManagement 1 "Create" Medium ["RR-3" "RR-5"] "an enrolment link is made.";
    OperatorRevoke "operator.revoke" EntityManagement 7 "Unenroll" Medium ["RR-3" "RR-5"] "an operator's keys are revoked.";
    OperatorSessionsEnd "operator.sessions-end" Authentication 2 "Logoff" Medium ["RR-5" "CD-8"] "every session of an operator is ended by somebody else.";
    OperatorRead "operator.read" EntityManagement 2 "Read" Informational ["RR-5"] "an operator is read, with passkeys and sessions.";
    OperatorList "operator.list" EntityManagement 2 "Read" Informational ["RR-5"] "operators are listed.";
    AccountCreate "account.create" EntityManagement 1 "Create" Low ["CD-4" "CD-8"] "an account is made.";
    AccountSuspend "account.suspend" EntityManagement 12 "Suspend" Medium ["CD-4" "CD-8"] "an account is suspended.";
    AccountResume "account.resume" EntityManagement 13 "Resume" Medium ["CD-4" "CD-8"] "a suspended account is resumed.";
    AccountRead "account.read" EntityManagement 2 "Read" Informational ["RR-5"] "an account is read.";
    AccountSurvey "account.survey" EntityManagement 2 "Read" Informational ["RR-3" "RR-5"] "what the repositories of an account are classified as, and how much is in them, is read: never what it is.";
    AccountList "account.list" EntityManagement 2 "Read" Informational ["RR-5"] "accounts are listed.";
    ClientCreate "client.create" EntityManagement 1 "Create" Low ["CD-4" "CD-8" "SD-1"] "an application of a customer is registered.";
    ClientRevoke "client.revoke" EntityManagement 9 "Disable" Medium ["CD-4" "CD-8" "SD-1"] "an application of a customer is revoked.";
    ClientList "client.list" EntityManagement 2 "Read" Informational ["RR-5"] "the applications of a customer are listed.";

    RepositoryCreate "repository.create" EntityManagement 1 "Create" Low ["RR-1" "RR-2" "AR-2"] "a repository is made.";
    RepositoryRead "repository.read" EntityManagement 2 "Read" Informational ["RR-5"] "a repository's declaration is read.";
    RepositoryUpdate "repository.update" EntityManagement 3 "Update" Low ["RR-1" "RR-2" "AR-2"] "a repository's declaration is changed.";
    RepositoryList "repository.list" EntityManagement 2 "Read" Informational ["RR-5"] "repositories are listed.";

    RecordCreate "record.create" ApiActivity 1 "Create" Informational ["RR-1" "RR-2" "CD-2" "CD-4"] "a record is stored.";
    RecordRead "record.read" ApiActivity 2 "Read" Informational ["CD-3" "CD-4"] "a record is read.";
    RecordUpdate "record.update" ApiActivity 3 "Update" Informational ["RR-1" "RR-2" "CD-2" "CD-4"] "a record is replaced.";
    RecordPatch "record.patch" ApiActivity 3 "Update" Informational ["RR-1" "RR-2" "CD-2" "CD-4"] "a record is changed in part.";
    RecordDelete "record.delete" ApiActivity 4 "Delete" Low ["CD-2" "DD-1"] "a record is deleted, and can be restored within the window.";
    RecordRestore "record.restore" ApiActivity 3 "Update" Low ["CD-2"] "a deleted record is restored.";
    RecordEraseStart "record.erase-start" ApiActivity 4 "Delete" Medium ["DD-1"] "the erasure of a record is decided; its key goes next.";
    RecordErase "record.erase" ApiActivity 4 "Delete" Medium ["DD-1" "DD-2" "SD-5"] "a record is erased: its key is destroyed.";
    RecordList "record.list" ApiActivity 2 "Read" Informational ["CD-3" "CD-4"] "records are listed.";
    RecordSearch "record.search" ApiActivity 2 "Read" Informational ["CD-3" "CD-4"] "records are searched.";
    RecordVersions "record.versions" ApiActivity 2 "Read" Informational ["CD-2" "CD-3"] "the versions of a record are read.";
    RecordExplain "record.explain" ApiActivity 2 "Read" Informational ["SD-2"] "what applies to a record is explained.";
    RecordBatch "record.batch" ApiActivity 99 "" Informational ["RR-1" "RR-2" "CD-2" "CD-4"] "several records are written as one.";

    ObjectCreate "object.create" ApiActivity 1 "Create" Informational ["RR-1" "RR-2" "CD-2" "CD-4"] "an object is stored.";
    ObjectRead "object.read" ApiActivity 2 "Read" Informational ["CD-3" "CD-4"] "an object is read.";
    ObjectDelete "object.delete" ApiActivity 4 "Delete" Low ["CD-2" "DD-1"] "an object is deleted, and can be restored within the window.";
    ObjectRestore "object.restore" ApiActivity 3 "Update" Low ["CD-2"] "a deleted object is restored.";
    ObjectEraseStart "object.erase-start" ApiActivity 4 "Delete" Medium ["DD-1"] "the erasure of an object is decided; its key goes next.";
    ObjectErase "object.erase" ApiActivity 4 "Delete" Medium ["DD-1" "DD-2" "SD-5"] "an object is erased: its key is destroyed.";
    ObjectList "object.list" ApiActivity 2 "Read" Informational ["CD-3" "CD-4"] "objects are listed.";
    ObjectExplain "object.explain" ApiActivity 2 "Read" Informational ["SD-2"] "what applies to an object is explained.";

    HoldSet "hold.set" EntityManagement 1 "Create" Medium ["DD-1"] "a legal hold is set.";
    HoldLift "hold.lift" EntityManagement 4 "Delete" Medium ["DD-1"] "a legal hold is lifted.";
    HoldList "hold.list" EntityManagement 2 "Read" Informational ["DD-1"] "legal holds are listed.";
    RetentionAct "retention.act" ApiActivity 99 "" Low ["AR-2" "DD-1"] "the retention schedule acts on what is due.";
    CertificateIssue "certificate.issue" ApiActivity 1 "Create" Low ["DD-2"] "a certificate of deletion is signed.";
    CertificateRead "certificate.read" ApiActivity 2 "Read" Informational ["DD-2"] "a certificate of deletion is read.";

    KeyCreate "key.create" EntityManagement 1 "Create" Low ["CD-5" "CD-6"] "a key is made.";
    KeyUse "key.use" ApiActivity 99 "" Informational ["CD-6"] "a key is used for a purpose.";
    KeyRotate "key.rotate" EntityManagement 3 "Update" Medium ["CD-6"] "a new version of a key takes over.";
    KeyRotateComplete "key.rotate-complete" EntityManagement 3 "Update" Medium ["CD-6"] "all that the old version sealed is sealed anew.";
    KeyRetire "key.retire" EntityManagement 11 "Deactivate" Medium ["CD-6"] "a version of a key is retired.";
    KeyDestroy "key.destroy" EntityManagement 4 "Delete" Medium ["CD-6" "DD-1" "SD-5"] "a key is destroyed, and what it sealed with it.";
    KeyRefuse "key.refuse" EntityManagement 99 "" High ["CD-6"] "a use of a key is refused.";
    KeyStatus "key.status" EntityManagement 2 "Read" Informational ["CD-6"] "the state of the keys is read.";
    LogKeyRead "log.key-read" EntityManagement 2 "Read" Low ["CD-6"] "the log's signing key is opened.";

    AccessDeny "access.deny" ApiActivity 99 "" Medium ["RR-3" "CD-4" "CD-8" "SD-1"] "policy does not allow an act.";
    LimitExceed "limit.exceed" ApiActivity 99 "" Low ["RR-5"] "a limit of rate or size is exceeded.";
    IdempotencyReplay "idempotency.replay" ApiActivity 99 "" Informational ["CD-2"] "an act that was done before is answered from its record.";
    IntegrityViolation "integrity.violation" DetectionFinding 1 "Create" Critical ["CD-2"] "stored data is not what was stored.";
    ReviewList "review.list" EntityManagement 2 "Read" Informational ["AO-4"] "what is to be reviewed is listed.";
    ReviewSign "review.sign" EntityManagement 3 "Update" Low ["AO-4"] "a second person finds a privileged act in order.";
    ReviewObject "review.object" DetectionFinding 1 "Create" High ["AO-4"] "a second person objects to a privileged act.";
    ReviewOverdue "review.overdue" DetectionFinding 1 "Create" Medium ["AO-4"] "a privileged act was not reviewed in time.";
    LogSearch "log.search" ApiActivity 2 "Read" Informational ["EL-4" "AO-4"] "the log is searched.";
    LogReconcileAsk "log.reconcile-ask" EntityManagement 99 "" Informational ["RR-5" "CD-2"] "somebody asks for what is stored to be held against the log.";
    LogReconcile "log.reconcile" ApplicationLifecycle 99 "" Informational ["RR-5" "CD-2" "AO-1"] "each protected row was held against the log: `unexplained` says how many no event explains.";
    LogSourceRead "log.source-read" ApiActivity 2 "Read" Low ["RR-5" "EL-1"] "from where and with which tool somebody acted is opened.";
    SubjectErase "subject.erase" EntityManagement 4 "Delete" Medium ["DD-1" "DD-2"] "from where somebody acted is erased: the key of it is destroyed.";
    SafeguardSet "safeguard.set" ApplicationLifecycle 99 "" Low ["AO-1" "RR-5"] "a setting that keeps the record of what is done is as it is from now on.";
    SafeguardWeaken "safeguard.weaken" DetectionFinding 1 "Create" High ["AO-1"] "a setting that keeps the record of what is done was weakened or switched off: two operators approve that, or administrative acts wait.";
    SafeguardApprove "safeguard.approve" EntityManagement 3 "Update" Medium ["AO-1" "AO-4"] "an operator approves that a safeguard is weaker.";
    SafeguardList "safeguards.list" EntityManagement 2 "Read" Informational ["RR-5"] "safeguards are listed.";
    PolicyPropose "policy.propose" EntityManagement 1 "Create" Medium ["PD-1" "PD-2"] "a version of the policy is put up for approval.";
    PolicyApprove "policy.approve" EntityManagement 99 "" Medium ["PD-2"] "somebody other than its author approves a version of the policy.";
    PolicyAdopt "policy.adopt" EntityManagement 99 "" Medium ["PD-1" "PD-2"] "a version of the policy is adopted: its approvals are complete.";
    PolicyAcknowledge "policy.acknowledge" EntityManagement 99 "" Low ["PD-2"] "somebody acknowledges a version of the policy.";
    PolicyRead "policy.read" EntityManagement 2 "Read" Informational ["PD-3"] "versions of the policy are read.";
    EvidenceObserve "evidence.observe" EntityManagement 1 "Create" Informational ["PD-3"] "a check was made: `seen` says what was seen.";
    EvidenceAsk "evidence.ask" EntityManagement 99 "" Informational ["PD-3"] "somebody asks for a check to be made now.";
    EvidenceRead "evidence.read" EntityManagement 2 "Read" Informational ["PD-3"] "what is known of the policy's sentences is read.";
    FindingOpen "finding.open" DetectionFinding 1 "Create" High ["PD-3" "CD-9"] "a check failed that had not: something is not as the policy says.";
    FindingClose "finding.close" DetectionFinding 3 "Close" Low ["PD-3"] "a check that had failed passes again.";
    ExceptionSet "exception.set" EntityManagement 1 "Create" Medium ["PD-3"] "somebody answers for a clause that is not held, or does not apply, until a day.";
    ExceptionEnd "exception.end" EntityManagement 4 "Delete" Low ["PD-3"] "an exception is ended before its day.";
    AlarmRaise "alarm.raise" DetectionFinding 1 "Create" High ["CD-9"] "an alarm is raised, and goes to the routes of its first step.";
    AlarmEscalate "alarm.escalate" DetectionFinding 2 "Update" Medium ["CD-9"] "nobody acknowledged an alarm in time: it goes to the next step.";
    AlarmLapse "alarm.lapse" DetectionFinding 2 "Update" High ["CD-9"] "an acknowledgement ran out and the alarm stands: it alarms again.";
    AlarmAcknowledge "alarm.acknowledge" EntityManagement 3 "Update" Low ["CD-9"] "somebody takes an alarm on, until then.";
    AlarmResolve "alarm.resolve" DetectionFinding 3 "Close" Low ["CD-9"] "an alarm is over: what it was about passed, or somebody says so.";
    AlarmSend "alarm.send" NetworkActivity 6 "Traffic" Informational ["CD-9"] "a message about an alarm is handed to a route.";
    AlarmDeliver "alarm.deliver" NetworkActivity 6 "Traffic" Informational ["CD-9"] "a route took a message about an alarm, or did not this time.";
    AlarmUndelivered "alarm.undelivered" ApplicationError 1 "General Error" High ["CD-9"] "a message about an alarm can't be delivered by a route: it goes by another, and that is an alarm.";
    AlarmTest "alarm.test" EntityManagement 99 "" Low ["CD-9"] "a test alarm is sent by every route.";
    AlarmList "alarm.list" EntityManagement 2 "Read" Informational ["CD-9"] "alarms, or the routes that they go by, are read.";
    LogUnwitnessed "log.unwitnessed" DetectionFinding 1 "Create" High ["AO-2"] "no quorum of witnesses stands by the log: administrative acts wait.";
    LogWitnessed "log.witnessed" ApplicationLifecycle 99 "" Low ["AO-2"] "the quorum of witnesses stands by the log again.";
    LogFork "log.fork" DetectionFinding 1 "Create" Critical ["AO-2" "CD-2"] "a witness keeps another past of the log than this server: nothing is signed any more.";
    LogRecover "log.recover" ApplicationLifecycle 99 "" High ["AO-2" "CD-2"] "entries that this server had lost are taken back from a mirror.";
    StorageFull "storage.full" ApplicationError 1 "General Error" High ["RR-5"] "space runs out: writes are refused.";
    StorageRecover "storage.recover" ApplicationLifecycle 99 "" Low ["RR-5"] "there is space again: writes go on.";
    JobFail "job.fail" ApplicationError 1 "General Error" Medium ["RR-5"] "a job fails for the last time.";
    JobComplete "job.complete" ApplicationLifecycle 99 "" Informational ["RR-5"] "a job completes.";
}

impl Activity {
    /// Whether it is a privileged act, which a second person reviews when somebody did it (AO-4).
    pub const fn needs_review(self) -> bool {
        matches!(
            self,
            Self::OperatorEnrol
                | Self::PasskeyAdd
                | Self::PasswordSet
                | Self::IdentityAdd
                | Self::OperatorLinkCreate
                | Self::OperatorRevoke
                | Self::AccountCreate
                | Self::AccountSuspend
                | Self::AccountResume
                | Self::ClientCreate
                | Self::ClientRevoke
                | Self::KeyRotate
                | Self::KeyRetire
                | Self::SubjectErase
                | Self::ExceptionSet
        )
    }

    /// OCSF's `class_uid`.
    pub const fn class_uid(self) -> u32 {
        self.class().uid()
    }

    /// OCSF's `class_name`.
    pub const fn class_name(self) -> &'static str {
        self.class().name()
    }

    /// OCSF's `type_uid`: `class_uid` times 100, and `activity_id`.
    pub const fn type_uid(self) -> u32 {
        self.class_uid() * 100 + self.activity_id() as u32
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_well_formed() {
        let names: std::collections::BTreeSet<_> = Activity::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(names.len(), Activity::ALL.len());
        for activity in Activity::ALL {
            assert_eq!(Activity::from_name(activity.name()), Some(*activity));
            let (noun, verb) = activity.name().split_once('.').unwrap();
            let word = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            assert!(word(noun) && word(verb), "{activity}");
            assert!(!activity.activity_name().is_empty(), "{activity}");
            assert!(!activity.clauses().is_empty(), "{activity}");
        }
    }

    #[test]
    fn numbers_are_those_of_ocsf() {
        assert_eq!(Activity::RecordCreate.type_uid(), 600_301);
        assert_eq!(Activity::RecordBatch.type_uid(), 600_399);
        assert_eq!(Activity::RecordBatch.activity_name(), "record.batch");
        assert_eq!(Activity::AuthFail.class().category_uid(), 3);
        assert_eq!(Activity::IntegrityViolation.severity().id(), 5);
    }
}
