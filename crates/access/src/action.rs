//! Actions that are authorized, and the kinds of resource that they are done to. The names are those
//! of the policies' schema; a test holds the two against each other.

use std::fmt;

use base::{AccountId, Classification, RepositoryId};

/// The kinds of resource, by the name of their type in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// A repository of records and objects.
    Repository,
    /// A record.
    Record,
    /// A stored object.
    Object,
    /// A legal hold.
    Hold,
    /// A certificate of deletion.
    Certificate,
    /// A customer's account, as its own administrator governs it.
    Account,
    /// Tenet itself.
    Platform,
}

impl ResourceKind {
    /// Its type in the schema.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Repository => "Repository",
            Self::Record => "Record",
            Self::Object => "Object",
            Self::Hold => "Hold",
            Self::Certificate => "Certificate",
            Self::Account => "Account",
            Self::Platform => "Platform",
        }
    }
    /// The word for it in an event.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Record => "record",
            Self::Object => "object",
            Self::Hold => "hold",
            Self::Certificate => "certificate",
            Self::Account => "account",
            Self::Platform => "platform",
        }
    }
}

/// One line an action: variant, name in the schema, kind of resource.
macro_rules! actions {
    ($($variant:ident $name:literal $resource:ident;)*) => {
        /// An action that is authorized.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $(#[doc = concat!("`", $name, "`.")] $variant,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// Its name in the policies.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
            /// What it is done to.
            pub const fn resource(self) -> ResourceKind {
                match self { $(Self::$variant => ResourceKind::$resource,)* }
            }
        }
    };
}

actions! {
    RepositoryCreate "repository.create" Repository;
    RepositoryRead "repository.read" Repository;
    RepositoryList "repository.list" Repository;
    RepositoryUpdate "repository.update" Repository;
    RecordCreate "record.create" Record;
    RecordRead "record.read" Record;
    RecordUpdate "record.update" Record;
    RecordPatch "record.patch" Record;
    RecordDelete "record.delete" Record;
    RecordRestore "record.restore" Record;
    RecordErase "record.erase" Record;
    RecordList "record.list" Record;
    RecordSearch "record.search" Record;
    RecordVersions "record.versions" Record;
    RecordExplain "record.explain" Record;
    RecordBatch "record.batch" Record;
    ObjectCreate "object.create" Object;
    ObjectRead "object.read" Object;
    ObjectDelete "object.delete" Object;
    ObjectRestore "object.restore" Object;
    ObjectErase "object.erase" Object;
    ObjectList "object.list" Object;
    ObjectExplain "object.explain" Object;
    HoldSet "hold.set" Hold;
    HoldLift "hold.lift" Hold;
    HoldList "hold.list" Hold;
    CertificateRead "certificate.read" Certificate;
    AccountCreate "account.create" Platform;
    AccountList "account.list" Platform;
    AccountRead "account.read" Platform;
    AccountSurvey "account.survey" Platform;
    AccountSuspend "account.suspend" Platform;
    AccountResume "account.resume" Platform;
    ClientCreate "client.create" Platform;
    ClientList "client.list" Platform;
    ClientRevoke "client.revoke" Platform;
    CustomerInvite "customer.invite" Platform;
    CustomerList "customer.list" Platform;
    OwnRead "own.read" Account;
    OwnLog "own.log" Account;
    OwnKeys "own.keys" Account;
    OwnClientList "own.client-list" Account;
    OwnClientCreate "own.client-create" Account;
    OwnClientRevoke "own.client-revoke" Account;
    SessionOpen "session.open" Platform;
    PasskeyManage "passkey.manage" Platform;
    PasswordManage "password.manage" Platform;
    IdentityManage "identity.manage" Platform;
    OperatorInvite "operator.invite" Platform;
    OperatorList "operator.list" Platform;
    OperatorRead "operator.read" Platform;
    OperatorRevoke "operator.revoke" Platform;
    OperatorSessionsEnd "operator.sessions-end" Platform;
    KeyStatus "key.status" Platform;
    KeyRotate "key.rotate" Platform;
    KeyRetire "key.retire" Platform;
    LogRead "log.read" Platform;
    LogReconcile "log.reconcile" Platform;
    LogSource "log.source" Platform;
    SubjectErase "subject.erase" Platform;
    SafeguardList "safeguard.list" Platform;
    SafeguardApprove "safeguard.approve" Platform;
    PolicyRead "policy.read" Platform;
    PolicyPropose "policy.propose" Platform;
    PolicyApprove "policy.approve" Platform;
    PolicyAcknowledge "policy.acknowledge" Platform;
    EvidenceRead "evidence.read" Platform;
    EvidenceAsk "evidence.ask" Platform;
    EvidenceAttest "evidence.attest" Platform;
    ExceptionSet "exception.set" Platform;
    ExceptionEnd "exception.end" Platform;
    AlarmList "alarm.list" Platform;
    AlarmAcknowledge "alarm.acknowledge" Platform;
    AlarmResolve "alarm.resolve" Platform;
    AlarmTest "alarm.test" Platform;
    ReviewList "review.list" Platform;
    ReviewSign "review.sign" Platform;
}

impl Action {
    /// Whether it is an administrative act that gives something, or destroys what nobody can bring back: those wait while
    /// no witness stands by the log. What only takes access away does not wait, or whoever cuts the witness off would keep what they have; nor
    /// does looking.
    pub const fn waits_for_witnesses(self) -> bool {
        matches!(
            self,
            Self::AccountCreate
                | Self::AccountResume
                | Self::ClientCreate
                | Self::CustomerInvite
                | Self::OwnClientCreate
                | Self::OperatorInvite
                | Self::KeyRotate
                | Self::KeyRetire
                | Self::SubjectErase
        )
    }
}

impl Action {
    /// Whether a session of the console must have proved of late who is in it (MS-7): what gives, takes away or destroys
    /// something, and what the policy says.
    pub const fn waits_for_proof(self) -> bool {
        self.waits_for_witnesses()
            || matches!(
                self,
                Self::AccountSuspend
                    | Self::ClientRevoke
                    | Self::OwnClientRevoke
                    | Self::OperatorRevoke
                    | Self::OperatorSessionsEnd
                    | Self::PasskeyManage
                    | Self::PasswordManage
                    | Self::IdentityManage
                    | Self::SafeguardApprove
                    | Self::LogSource
                    | Self::ReviewSign
                    | Self::EvidenceAttest
                    | Self::AlarmResolve
                    | Self::PolicyPropose
                    | Self::PolicyApprove
                    | Self::ExceptionSet
                    | Self::ExceptionEnd
            )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an action is to be done to. Its kind follows from the action.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    pub(crate) id: Option<String>,
    pub(crate) account: Option<AccountId>,
    pub(crate) repository: Option<RepositoryId>,
    pub(crate) classification: Option<Classification>,
}

impl Resource {
    /// A resource of the caller's own account, of which no more is known. As long as no classification
    /// is given, it counts as the highest.
    pub fn new() -> Self {
        Self::default()
    }
    /// Says which: a typed id, for the event.
    #[must_use]
    pub fn id(mut self, id: impl fmt::Display) -> Self {
        self.id = Some(id.to_string());
        self
    }
    /// Says whose it is, where that is known from the stored row.
    #[must_use]
    pub fn in_account(mut self, account: AccountId) -> Self {
        self.account = Some(account);
        self
    }
    /// Says in which repository it is, for the event.
    #[must_use]
    pub fn in_repository(mut self, repository: RepositoryId) -> Self {
        self.repository = Some(repository);
        self
    }
    /// Says how it is classified: the repository's level bounds that of all that is in it.
    #[must_use]
    pub fn classified(mut self, classification: &Classification) -> Self {
        self.classification = Some(classification.clone());
        self
    }
}
