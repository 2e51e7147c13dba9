//! Every route once, as it is meant to be called; and the events that each leaves are those that the table
//! says, the first of them always.

use std::collections::BTreeSet;

use access::SigningKey;
use base::SecretBytes;
use ledger::{Act, Activity, ObjectRef};
use serde_json::{Value, json};
use watch::{Alarms, Messenger};

use crate::support::{Ask, Reply, World, ask, declaration, plan, public};

struct Tour {
    world: World,
    met: BTreeSet<(String, String)>,
}

impl Tour {
    /// Calls a route by its template, with `ids` for its parameters.
    async fn go(
        &mut self,
        method: &'static str,
        template: &str,
        ids: &[&str],
        with: impl FnOnce(Ask) -> Ask,
    ) -> Reply {
        let (route, query) =
            template.split_once('?').map_or((template, None), |(route, query)| (route, Some(query)));
        let mut path = String::new();
        let mut ids = ids.iter();
        for part in route.split('/').skip(1) {
            path.push('/');
            path.push_str(if part.starts_with('{') { ids.next().unwrap() } else { part });
        }
        if let Some(query) = query {
            path = format!("{path}?{query}");
        }
        let reply = self.world.call(with(ask(method, path))).await;
        let info = web::routes().into_iter().find(|it| it.method == method && it.path == route).unwrap();
        assert!(
            reply.status.is_success(),
            "{method} {route}: {} {}",
            reply.status,
            String::from_utf8_lossy(&reply.bytes)
        );
        let declared: Vec<_> = info.events.iter().map(|event| event.name().to_owned()).collect();
        let left = self.world.events_of(&reply);
        // Keys are made many at a time, and their uses are summed up.
        let implied = |event: &str| matches!(event, "key.create" | "key.use");
        assert!(
            left.iter().all(|event| declared.contains(event) || implied(event)),
            "{method} {route} left {left:?}, declares {declared:?}"
        );
        if let Some(first) = declared.first() {
            assert!(left.contains(first), "{method} {route} left {left:?} without {first}");
        }
        self.met.insert((method.to_owned(), route.to_owned()));
        reply
    }

    async fn client(
        &mut self,
        method: &'static str,
        template: &str,
        ids: &[&str],
        body: Option<Value>,
    ) -> Reply {
        let token = self.world.client.token.clone();
        self.go(method, template, ids, |ask| {
            let ask = ask.bearer(&token);
            match body {
                Some(body) => ask.json(&body),
                None => ask,
            }
        })
        .await
    }

    async fn operator(
        &mut self,
        method: &'static str,
        template: &str,
        ids: &[&str],
        body: Option<Value>,
    ) -> Reply {
        let token = self.world.operator.clone();
        self.go(method, template, ids, |ask| {
            let ask = ask.bearer(&token);
            match body {
                Some(body) => ask.json(&body),
                None => ask,
            }
        })
        .await
    }

    async fn records(&mut self) -> String {
        let records = "/v1/repositories/{repository}/records";
        let one = format!("{records}/{{record}}");
        let made =
            self.client("POST", "/v1/repositories", &[], Some(declaration("samples", "confidential"))).await;
        let repository = made.text("/id");
        assert_eq!(made.header("etag"), "\"1\"");
        self.client("GET", "/v1/repositories", &[], None).await;
        self.client("GET", "/v1/repositories/{repository}", &[&repository], None).await;
        let named = Some(json!({"name": "renamed"}));
        let changed = self.client("PATCH", "/v1/repositories/{repository}", &[&repository], named).await;
        assert_eq!((changed.text("/name"), changed.header("etag")), ("renamed".into(), "\"2\""));

        let made =
            self.client("POST", records, &[&repository], Some(json!({"number": "1", "n": 1.10}))).await;
        let record = made.text("/id");
        let ids = [repository.as_str(), record.as_str()];
        let read = self.client("GET", &one, &ids, None).await;
        assert_eq!(read.json()["body"], json!({"number": "1", "n": 1.10}));
        assert_eq!(read.header("etag"), "\"1\"");
        let put = self.client("PUT", &one, &ids, Some(json!({"number": "2"}))).await;
        assert_eq!(put.json()["version"], 2);
        let patched = self.client("PATCH", &one, &ids, Some(json!({"more": true}))).await;
        assert_eq!(patched.json()["version"], 3);
        let first = self.client("GET", &format!("{one}?version=1"), &ids, None).await;
        assert_eq!(first.json()["body"]["number"], "1");
        let versions = self.client("GET", &format!("{one}/versions"), &ids, None).await;
        assert_eq!(versions.json()["items"].as_array().unwrap().len(), 3);
        self.world.wait(1);
        let batch = json!({"operations": [
            {"op": "create", "body": {"number": "7"}}, {"op": "patch", "id": record, "version": 3, "body": {"x": 1}},
        ]});
        let written = self.client("POST", &format!("{records}/batch"), &[&repository], Some(batch)).await;
        assert_eq!(written.json()["records"][1]["version"], 4);
        let found = json!({"equals": {"/number": "7"}, "bodies": true});
        let found = self.client("POST", &format!("{records}/search"), &[&repository], Some(found)).await;
        assert_eq!(found.json()["items"][0]["body"], json!({"number": "7"}));
        let page = self.client("GET", &format!("{records}?limit=1&bodies=true"), &[&repository], None).await;
        assert_eq!(page.json()["items"][0]["id"], record);
        let rest = format!("{records}?limit=1&bodies=true&cursor={}", page.text("/next"));
        let page = self.client("GET", &rest, &[&repository], None).await;
        assert_eq!(page.json()["items"][0]["body"], json!({"number": "7"}));
        self.client("GET", &format!("{one}/explain"), &ids, None).await;
        self.client("DELETE", &one, &ids, None).await;
        self.client("POST", &format!("{one}/restore"), &ids, None).await;
        let hold = json!({"record": record, "reason": "a case", "person": "A. Counsel"});
        let hold =
            self.client("POST", "/v1/repositories/{repository}/holds", &[&repository], Some(hold)).await;
        self.client("GET", "/v1/repositories/{repository}/holds", &[&repository], None).await;
        let lifted = Some(json!({"reason": "closed", "person": "A. Counsel"}));
        self.client("POST", "/v1/holds/{hold}/lift", &[&hold.text("/id")], lifted).await;
        let erased = self.client("POST", &format!("{one}/erase"), &ids, None).await;
        let note = erased.text("/note");
        assert!(ledger::verify_statement(self.world.signer.verifier(), &note).is_ok());
        self.client("GET", &format!("{one}/certificate"), &ids, None).await;
        self.client("GET", "/v1/certificates/{certificate}", &[&erased.text("/id")], None).await;
        repository
    }

    async fn objects(&mut self, repository: &str) {
        let objects = "/v1/repositories/{repository}/objects";
        let one = format!("{objects}/{{object}}");
        let token = self.world.client.token.clone();
        let content = b"0123456789".to_vec();
        let made = self
            .go("POST", &format!("{objects}?name=digits.txt"), &[repository], |ask| {
                ask.bearer(&token).raw("text/plain", content)
            })
            .await;
        let object = made.text("/id");
        let ids = [repository, object.as_str()];
        let whole = self.client("GET", &one, &ids, None).await;
        assert_eq!(
            (whole.bytes.as_slice(), whole.header("content-type")),
            (&b"0123456789"[..], "text/plain")
        );
        let part = self
            .go("GET", &one, &ids, |ask| ask.bearer(&token).header("range", "bytes=2-4"))
            .await
            .expect(206);
        assert_eq!((part.bytes.as_slice(), part.header("content-range")), (&b"234"[..], "bytes 2-4/10"));
        assert_eq!(part.header("content-length"), "3");
        self.client("GET", &format!("{one}/meta"), &ids, None).await;
        self.client("GET", objects, &[repository], None).await;
        self.client("GET", &format!("{one}/explain"), &ids, None).await;
        self.client("DELETE", &one, &ids, None).await;
        self.client("POST", &format!("{one}/restore"), &ids, None).await;
        let erased = self.client("POST", &format!("{one}/erase"), &ids, None).await;
        assert!(self.world.events_of(&erased).contains(&"object.erase".to_owned()));
        self.client("GET", &format!("{one}/certificate"), &ids, None).await;
    }

    async fn platform(&mut self) {
        let account =
            self.operator("POST", "/v1/accounts", &[], Some(json!({"name": "C"}))).await.text("/id");
        self.operator("GET", "/v1/accounts?limit=1", &[], None).await;
        let clients = "/v1/accounts/{account}/clients";
        let new = json!({"name": "app", "scope": "records:read", "clearance": "internal"});
        let client = self.operator("POST", clients, &[&account], Some(new)).await.text("/client/id");
        self.operator("GET", clients, &[&account], None).await;
        self.operator("POST", "/v1/clients/{client}/revoke", &[&client], None).await;
        let invited =
            self.operator("POST", "/v1/accounts/{account}/links", &[&account], Some(json!({}))).await;
        assert_eq!((invited.text("/role"), invited.text("/account")), ("customer".into(), account.clone()));
        let key = SigningKey::from_seed(&SecretBytes::new(vec![9; 32])).unwrap();
        let body =
            json!({"secret": invited.text("/secret"), "name": "Cora", "public_key": public(&key.public())});
        let cora = self.go("POST", "/v1/enrol", &[], |ask| ask.json(&body)).await;
        assert_eq!((cora.text("/role"), cora.text("/account")), ("customer".into(), account.clone()));
        let people = self.operator("GET", "/v1/accounts/{account}/people", &[&account], None).await.json();
        assert_eq!(people["items"][0]["name"], "Cora");
        self.operator("POST", "/v1/operators/{operator}/revoke", &[&cora.text("/id")], None).await;
        self.operator("POST", "/v1/accounts/{account}/suspend", &[&account], None).await;
        self.operator("POST", "/v1/accounts/{account}/resume", &[&account], None).await;
        self.operator("GET", "/v1/keys", &[], None).await;
        self.operator("GET", "/v1/accounts/{account}/keys", &[&account], None).await;
        self.operator("POST", "/v1/accounts/{account}/keys/rotate", &[&account], None).await;
        self.jobs().await;
        self.operator("POST", "/v1/accounts/{account}/keys/{version}/retire", &[&account, "1"], None).await;
        self.operator("POST", "/v1/console/codes", &[], None).await.expect(201);
        let link = self.operator("POST", "/v1/operators/links", &[], Some(json!({"role": "auditor"}))).await;
        let key = SigningKey::from_seed(&SecretBytes::new(vec![2; 32])).unwrap();
        let body =
            json!({"secret": link.text("/secret"), "name": "Grace", "public_key": public(&key.public())});
        let auditor = self.go("POST", "/v1/enrol", &[], |ask| ask.json(&body)).await.text("/id");
        self.operator("GET", "/v1/operators", &[], None).await;
        let sessions = "/v1/operators/{operator}/sessions";
        let open = self.operator("GET", sessions, &[&auditor], None).await.json();
        assert_eq!(open, json!({"items": []}));
        let ended = self.operator("DELETE", sessions, &[&auditor], None).await.json();
        assert_eq!(ended, json!({"ended": 0}));
        let found = self.operator("GET", "/v1/log/events", &[], None).await;
        assert!(found.json()["items"].is_array() && found.json()["size"].is_u64());
        let erased = self.operator("POST", "/v1/subjects/{subject}/erase", &[&client], None).await;
        assert!(erased.text("/receipt").contains("tenet.subject-erasure.v1"));
        let asked = self.operator("POST", "/v1/log/reconcile", &[], None).await.expect(202);
        assert!(asked.text("/check").starts_with("job_"));
        let reviews = self.operator("GET", "/v1/reviews?state=open", &[], None).await.json();
        let of = |what: &str| {
            let found = reviews["items"].as_array().unwrap().iter().rfind(|one| one["activity"] == what);
            found.unwrap()["event"].as_str().unwrap().to_owned()
        };
        self.policy().await;
        self.world.weaken_a_safeguard().await;
        let listed = self.operator("GET", "/v1/safeguards", &[], None).await.json();
        assert_eq!(
            (&listed["items"][0]["name"], &listed["items"][0]["weakened"]),
            (&json!("a.b"), &json!(true))
        );
        let approve = "/v1/safeguards/{safeguard}/approve";
        let body = json!({"value": "weak"});
        let done = self.operator("POST", approve, &["a.b"], Some(body)).await.expect(200).json();
        assert_eq!(done["approved_by"].as_array().unwrap().len(), 1);
        self.world.restore_the_safeguard().await;
        let event = of("account.suspend");
        let source = self.operator("GET", "/v1/log/events/{event}/source", &[&event], None).await.json();
        assert!(source["tool"].is_string() && source["actor"].as_str().unwrap().starts_with("opr_"));
        // The administrator signs off that somebody else enrolled; what it did itself is for somebody else.
        let sign = "/v1/reviews/{event}/sign";
        let body = json!({"verdict": "in-order", "note": "as agreed"});
        let signed = self.operator("POST", sign, &[&of("operator.enrol")], Some(body.clone())).await.json();
        assert_eq!((&signed["verdict"], &signed["note"]), (&json!("in-order"), &json!("as agreed")));
        let own = sign.replace("{event}", &of("account.suspend"));
        let own = self.world.call(ask("POST", own).bearer(&self.world.operator).json(&body)).await;
        assert_eq!(own.expect(403).text("/clause"), "AO-4");
        self.operator("POST", "/v1/operators/{operator}/revoke", &[&auditor], None).await;
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            self.world.client.id, self.world.client.secret
        );
        let token = self.go("POST", "/v1/token", &[], |ask| ask.form(&form)).await.text("/access_token");
        let form = format!("token={token}");
        self.go("POST", "/v1/token/revoke", &[], |ask| ask.bearer(&token).form(&form)).await.expect(204);
        self.world.call(ask("GET", "/v1/repositories").bearer(&token)).await.expect(401);
    }

    /// From a version that is put up to an exception that is ended.
    async fn policy(&mut self) {
        let files = policy::specimen_files(&policy::Catalogue::load().unwrap());
        let versions = "/v1/policy/versions";
        let made = self.operator("POST", versions, &[], Some(json!({"files": files}))).await.expect(201);
        let by_hash = json!({"sha256": made.text("/sha256")});
        let link =
            self.operator("POST", "/v1/operators/links", &[], Some(json!({"role": "administrator"}))).await;
        let key = SigningKey::from_seed(&SecretBytes::new(vec![3; 32])).unwrap();
        let body =
            json!({"secret": link.text("/secret"), "name": "Bob", "public_key": public(&key.public())});
        let second = self.go("POST", "/v1/enrol", &[], |ask| ask.json(&body)).await.text("/id");
        let token = self.world.sign_in(&key, &second).await;
        let one = "/v1/policy/versions/{version}";
        let approve = format!("{one}/approve");
        let own = self
            .world
            .call(ask("POST", "/v1/policy/versions/1/approve").bearer(&self.world.operator).json(&by_hash));
        assert_eq!(own.await.expect(403).text("/clause"), "PD-2");
        let adopted = self.go("POST", &approve, &["1"], |ask| ask.bearer(&token).json(&by_hash)).await.json();
        assert!(adopted["adopted_at"].is_string(), "{adopted}");
        self.operator("POST", &format!("{one}/acknowledge"), &["1"], Some(by_hash)).await;
        let listed = self.operator("GET", versions, &[], None).await.json();
        assert_eq!(listed["items"][0]["standing"], "in-effect");
        let whole = self.operator("GET", one, &["1"], None).await.json();
        assert_eq!(whole["acknowledgements"].as_array().unwrap().len(), 1);
        let waiting = whole["outstanding"]["people"].as_array().unwrap().iter();
        assert!(
            waiting.filter(|one| one["clauses"].as_array().is_some_and(|all| !all.is_empty())).count() > 0
        );
        assert_eq!(self.operator("GET", "/v1/policy", &[], None).await.json(), whole);
        let body =
            json!({"check": "media-disposed", "holds": true, "summary": "12 disks shredded", "examined": 12});
        let observations = "/v1/evidence/observations";
        self.operator("POST", observations, &[], Some(body)).await.expect(201);
        let seen =
            self.operator("GET", &format!("{observations}?check=media-disposed"), &[], None).await.json();
        assert_eq!((&seen["items"][0]["examined"], &seen["items"][0]["seen"]), (&json!(12), &json!("pass")));
        let body = json!({"checks": ["log-verifies"]});
        self.operator("POST", "/v1/evidence/checks", &[], Some(body)).await.expect(202);
        let exceptions = "/v1/evidence/exceptions";
        let body = json!({
            "clause": "RR-4", "not_applicable": true, "reason": "no hosts of our own", "owner": second,
            "until": "2026-06-01T00:00:00Z",
        });
        let set = self.operator("POST", exceptions, &[], Some(body)).await.expect(201).text("/event");
        let known = self.operator("GET", "/v1/evidence", &[], None).await.json();
        let state = |clause: &str| {
            let all = known["clauses"].as_array().unwrap();
            all.iter().find(|one| one["clause"] == clause).unwrap()["state"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            (state("RR-4"), state("RR-6"), state("EL-4")),
            ("not-applicable".into(), "gap".into(), "never-observed".into())
        );
        let end = format!("{exceptions}/{{exception}}/end");
        let ended = self.operator("POST", &end, &[&set], None).await.json();
        assert!(ended["ended"].is_string(), "{ended}");
    }

    /// From what is wrong to its end.
    async fn alarms(&mut self) {
        let damage = Act::new(Activity::IntegrityViolation, ObjectRef::new("record", "-"));
        let alarms = Alarms::new(self.world.watch.clone(), plan());
        let messenger = Messenger::new(alarms, Vec::new(), self.world.h.system());
        self.world.drain().await;
        messenger.look().await.unwrap();
        self.world.h.data.record_system(&self.world.h.system(), damage).await.unwrap();
        self.world.drain().await;
        messenger.look().await.unwrap();
        let listed = self.operator("GET", "/v1/alarms", &[], None).await.json();
        let (item, all) = (&listed["items"][0], listed["items"].as_array().unwrap());
        assert_eq!((all.len(), &item["rule"], &item["state"]), (1, &json!("integrity"), &json!("open")));
        let id = item["id"].as_str().unwrap().to_owned();
        let shown = self.operator("GET", "/v1/alarms/{alarm}", &[&id], None).await.json();
        assert_eq!(
            (&shown["deliveries"][0]["route"], &shown["clauses"][0]),
            (&json!("chat"), &json!("CD-2"))
        );
        let until = self.world.h.context.now().plus(base::Duration::from_days(1)).to_string();
        let body = json!({"reason": "looking at it", "until": until});
        let taken = self.operator("POST", "/v1/alarms/{alarm}/acknowledge", &[&id], Some(body)).await.json();
        assert_eq!(taken["acknowledged"]["until"], until.as_str());
        let body = json!({"reason": "it was a test"});
        let over = self.operator("POST", "/v1/alarms/{alarm}/resolve", &[&id], Some(body)).await.json();
        assert_eq!(over["state"], "resolved");
        self.operator("POST", "/v1/alarm-tests", &[], None).await.expect(202);
        let all = self.operator("GET", "/v1/alarms?state=all", &[], None).await.json();
        // One by the schedule, one that was asked for.
        assert_eq!(all["items"].as_array().unwrap().len(), 3, "{all}");
        let routes = self.operator("GET", "/v1/alarm-routes", &[], None).await.json();
        assert_eq!(
            (&routes["items"][0]["name"], &routes["items"][0]["waiting"]),
            (&json!("chat"), &json!(2))
        );
    }

    /// Does what rotations have begun.
    async fn jobs(&self) {
        let jobs = store::JobRunner::new(self.world.h.data.clone(), self.world.job_handlers());
        self.world.wait(60);
        jobs.run_due().await.unwrap();
    }

    async fn provider(&mut self) {
        self.operator("POST", "/v1/keys/rotate", &[], None).await;
        self.jobs().await;
        self.operator("POST", "/v1/keys/{version}/retire", &["1"], None).await;
    }

    async fn open(&mut self) {
        self.world.drain().await;
        for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known/jwks.json", "/log/key"]
        {
            self.go("GET", path, &[], |ask| ask).await;
        }
        let note = self.go("GET", "/log/checkpoint", &[], |ask| ask).await;
        let note = String::from_utf8(note.bytes).unwrap();
        let signed = self.world.signer.verifier().verify(&note).unwrap();
        let tile = format!("entries/000.p/{}", signed.size);
        self.go("GET", "/log/tile/{path}", &[&tile], |ask| ask).await;
        let proof = self.go("GET", "/log/proof/{index}", &["3"], |ask| ask).await;
        let proof = ledger::TlogProof::parse(std::str::from_utf8(&proof.bytes).unwrap()).unwrap();
        assert_eq!(proof.check_enclosed(self.world.signer.verifier()).unwrap().1, signed);
    }
}

testkit::on_both_engines! {
    async fn every_route_does_what_it_says_and_leaves_its_events(h: Harness) {
        let mut tour = Tour { world: World::new(h).await, met: BTreeSet::new() };
        let repository = tour.records().await;
        tour.objects(&repository).await;
        tour.platform().await;
        tour.alarms().await;
        tour.provider().await;
        tour.open().await;
        let missed: Vec<_> = web::routes().into_iter()
            .map(|it| (it.method.to_owned(), it.path))
            .filter(|it| !tour.met.contains(it))
            .collect();
        assert!(missed.is_empty(), "never called: {missed:?}");
    }
}
