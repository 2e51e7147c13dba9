//! Alarms of a real server, by every kind of route, to receivers that this test is: requests as they are on the wire, and
//! letters by SMTP. And a server that dies with an alarm on its hands.

use std::{
    fs,
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::{Deadline, World, text};

/// What a receiver was sent: a request's line and body, or a letter.
#[derive(Clone, Debug)]
struct Sent {
    line: String,
    headers: String,
    body: String,
}

/// Receivers on this machine.
struct Receiver {
    port: u16,
    sent: Arc<Mutex<Vec<Sent>>>,
    status: Arc<Mutex<u16>>,
}

impl Receiver {
    fn start(speak: fn(TcpStream, u16) -> Option<Sent>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sent, status) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(200)));
        let (kept, answer) = (Arc::clone(&sent), Arc::clone(&status));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let answer = *answer.lock().unwrap();
                    if let Some(one) = speak(stream, answer) {
                        kept.lock().unwrap().push(one);
                    }
                });
            }
        });
        Self { port, sent, status }
    }
    fn answers(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }
    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
    /// Once it was sent one of which this is so.
    fn waits_for(&self, deadline: &Deadline, what: &str, is: impl Fn(&Sent) -> bool) -> Sent {
        loop {
            if let Some(found) = self.sent().into_iter().find(|one| is(one)) {
                return found;
            }
            deadline.check(what);
            std::thread::yield_now();
        }
    }
}

/// One request of HTTP/1.1, one answer.
fn web(mut stream: TcpStream, status: u16) -> Option<Sent> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut headers) = (String::new(), String::new());
    reader.read_line(&mut line).ok()?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        headers.push_str(&header);
    }
    let length = headers
        .lines()
        .find_map(|one| one.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let answer = format!("HTTP/1.1 {status} -\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
    stream.write_all(answer.as_bytes()).ok()?;
    let body = String::from_utf8(body).ok()?;
    (status == 200).then_some(Sent { line: line.trim().to_owned(), headers, body })
}

/// One letter by SMTP (RFC 5321), in the clear.
fn post_office(mut stream: TcpStream, _: u16) -> Option<Sent> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut say = |text: &str| stream.write_all(format!("{text}\r\n").as_bytes()).ok();
    say("220 post.test ESMTP")?;
    let (mut envelope, mut letter) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.get(..4)?.to_uppercase().as_str() {
            "EHLO" => say("250-post.test\r\n250 8BITMIME")?,
            "DATA" => {
                say("354 go on")?;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).ok()?;
                    if line == ".\r\n" {
                        break;
                    }
                    letter.push_str(&line);
                }
                say("250 taken")?;
                break;
            }
            _ => {
                envelope.push_str(&line);
                say("250 fine")?;
            }
        }
    }
    let (headers, body) = letter.split_once("\r\n\r\n")?;
    Some(Sent { line: envelope, headers: headers.to_owned(), body: body.to_owned() })
}

fn secret(world: &World, name: &str, content: &str) -> String {
    let path = world.directory.path().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// The routes of a configuration, as the environment has them.
fn routes(world: &World, web: u16, mail: u16) -> String {
    let hook = secret(world, "hook", &format!("http://127.0.0.1:{web}/hooks/hunter2\n"));
    let token = secret(world, "token", "syt_hunter2\n");
    let gateway = secret(world, "gateway", &format!("http://127.0.0.1:{web}/sms\nX-Api-Key: hunter2\n"));
    let key = secret(world, "key", "R0UT1NG\n");
    format!(
        "[{{ name = \"chat\", kind = \"slack\", secret_file = \"{hook}\" }}, \
         {{ name = \"room\", kind = \"matrix\", server = \"http://127.0.0.1:{web}\", room = \"!ops:m.test\", secret_file = \"{token}\" }}, \
         {{ name = \"phone\", kind = \"sms\", to = [\"+4915112345678\"], to_field = \"To\", text_field = \"Body\", secret_file = \"{gateway}\" }}, \
         {{ name = \"gateway\", kind = \"sms\", to = [\"+4915187654321\"], template = '{{\"to\": [\"{{to}}\"], \"msg\": \"{{text}}\", \"id\": \"{{id}}\"}}', \
         secret_file = \"{gateway}\" }}, \
         {{ name = \"duty\", kind = \"pagerduty\", server = \"http://127.0.0.1:{web}/v2/enqueue\", secret_file = \"{key}\" }}, \
         {{ name = \"mail\", kind = \"smtp\", server = \"localhost:{mail}\", security = \"none\", from = \"tenet@t.test\", \
         to = [\"ann@t.test\", \"bob@t.test\"] }}]"
    )
}

#[test]
fn alarms_arrive_by_every_kind_of_route() {
    let world = World::new();
    let (web, mail) = (Receiver::start(web), Receiver::start(post_office));
    let routes = routes(&world, web.port, mail.port);
    let steps =
        "[{ routes = [\"chat\", \"room\", \"phone\", \"gateway\", \"duty\", \"mail\"], wait = \"1d\" }]";
    let settings = [("TENET_ALARMS_ROUTE", routes.as_str()), ("TENET_ALARMS_STEP", steps)];
    let server = world.up_with(&world.data(), "localhost:0", &settings);
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let tested = world.json(&["alarm", "test"]);
    let states: Vec<_> =
        tested["deliveries"].as_array().unwrap().iter().map(|one| text(one, "/state")).collect();
    assert_eq!(states, ["done"; 6], "{tested}");
    let shown = world.json(&["alarm", "routes"]);
    assert!(shown.as_array().unwrap().iter().all(|one| one["delivered_at"].is_string()), "{shown}");
    let seen = world.json(&["evidence", "run", "alarms-arrive"]);
    assert_eq!(text(&seen[0], "/state"), "satisfied", "{seen}");

    // No policy is in effect: that is a finding, and so an alarm.
    world.json(&["evidence", "run", "policy-acknowledged"]);
    let deadline = Deadline::new();
    let about =
        |one: &Sent| one.body.contains("policy-acknowledged") || one.headers.contains("policy-acknowledged");
    let at = |path: &'static str| move |one: &Sent| one.line.contains(path) && about(one);
    let chat = web.waits_for(&deadline, "the chat", at("POST /hooks/hunter2 "));
    let chat: Value = serde_json::from_str(&chat.body).unwrap();
    assert!(
        text(&chat, "/text").starts_with("[warning] A check of the policy failed: policy-acknowledged (PD-"),
        "{chat}"
    );
    let room = web.waits_for(
        &deadline,
        "the room",
        at("PUT /_matrix/client/v3/rooms/!ops:m.test/send/m.room.message/msg_"),
    );
    assert!(room.headers.contains("Bearer syt_hunter2"));
    assert_eq!(serde_json::from_str::<Value>(&room.body).unwrap()["msgtype"], "m.text");
    let phone = web.waits_for(&deadline, "the phone", |one| {
        one.body.starts_with("To=%2B4915112345678&Body=Tenet+") && about(one)
    });
    assert!(phone.headers.to_lowercase().contains("x-api-key: hunter2"), "{phone:?}");
    let gateway = web.waits_for(&deadline, "the gateway", |one| {
        one.body.starts_with('{') && one.line.contains("/sms ") && about(one)
    });
    let gateway: Value = serde_json::from_str(&gateway.body).unwrap();
    assert_eq!(gateway["to"], json!(["+4915187654321"]));
    let duty = web.waits_for(&deadline, "the duty", at("POST /v2/enqueue "));
    let duty: Value = serde_json::from_str(&duty.body).unwrap();
    assert_eq!(
        (text(&duty, "/event_action"), text(&duty, "/routing_key"), text(&duty, "/payload/severity")),
        ("trigger", "R0UT1NG", "warning")
    );
    let letter = mail.waits_for(&deadline, "the letter", about);
    assert!(
        letter.line.contains("RCPT TO:<ann@t.test>") && letter.line.contains("RCPT TO:<bob@t.test>"),
        "{letter:?}"
    );
    assert!(letter.headers.contains("Subject: [warning] A check of the policy failed"), "{letter:?}");

    let listed = world.json(&["alarm", "list"]);
    let alarm = listed.as_array().unwrap().iter().find(|one| one["about"] == "policy-acknowledged").unwrap();
    let id = text(alarm, "/id");
    assert_eq!(text(&duty, "/dedup_key"), id);
    let taken =
        world.json(&["alarm", "acknowledge", id, "--reason", "a version is being written", "--for", "2d"]);
    assert_eq!(text(&taken, "/state"), "acknowledged");
    web.waits_for(&deadline, "that it is taken on", |one| {
        one.body.contains("\"acknowledge\"") && one.body.contains(id)
    });
    world.json(&["alarm", "resolve", id, "--reason", "adopted"]);
    web.waits_for(&deadline, "that it is over", |one| {
        one.body.contains("\"resolve\"") && one.body.contains(id)
    });
    let (code, error) = world.fails(&["alarm", "resolve", id, "--reason", "again"]);
    assert_eq!((code, text(&error, "/code")), (5, "alarm-over"));
    let shown = world.json(&["alarm", "show", id]).to_string();
    // No secret, no number and no address of anybody is shown, logged by the server, or in the log.
    let events = world.json(&["log", "search", "--activity", "alarm"]).to_string();
    let log = fs::read_to_string(world.directory.path().join("server.log")).unwrap();
    for told in [&shown, &events, &log] {
        for word in ["hunter2", "R0UT1NG", "4915112345678", "4915187654321", "ann@t.test"] {
            assert!(!told.contains(word), "{word} is in {told}");
        }
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn what_was_raised_before_a_crash_is_told_after_it() {
    if !cfg!(feature = "crash-points") {
        return crate::skipped("the feature `crash-points` is off");
    }
    const WHAT: &str = "A server stopped without announcing it";
    for point in ["alarm.before-raise", "alarm.before-carry"] {
        let world = World::new();
        let web = Receiver::start(web);
        let hook = secret(&world, "hook", &format!("http://127.0.0.1:{}/hook\n", web.port));
        let route = format!("[{{ name = \"chat\", kind = \"slack\", secret_file = \"{hook}\" }}]");
        let settings = [("TENET_ALARMS_ROUTE", route.as_str()), ("TENET_CRASH_AT", point)];
        let mut first = world.up_with(&world.data(), "localhost:0", &settings[..1]);
        let listen = first.listen();
        world.json(&["enrol", text(&first.ready, "/enrolment_link")]);
        let deadline = Deadline::new();
        web.waits_for(&deadline, "the first test", |one| one.body.contains("[test]"));
        first.signal("-KILL");
        first.child.wait().unwrap();
        // The second finds that the first died, and dies on its way to tell.
        let mut second = world.up_with(&world.data(), &listen, &settings);
        second.child.wait().unwrap();
        let third = world.up_with(&world.data(), &listen, &settings[..1]);
        // The lease of one that died runs out in real time.
        web.waits_for(&deadline, &format!("{point}: that it died"), |one| one.body.contains(WHAT));
        let alarm = loop {
            let listed = world.json(&["alarm", "list"]);
            let found = listed
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["title"] == WHAT && one["count"] == 2)
                .cloned();
            match found {
                Some(alarm) => break alarm,
                None => deadline.check(&format!("{point}: both are counted, and each once")),
            }
        };
        let told = web.sent().into_iter().filter(|one| one.body.contains(text(&alarm, "/id"))).count();
        assert_eq!(told, 1, "{point}: {:?}", web.sent());
        assert_eq!(third.stop(), 0);
    }
}

#[test]
fn without_a_route_the_clause_is_a_gap_and_a_wrong_route_keeps_a_server_from_starting() {
    let world = World::new();
    let server = world.up("localhost:0");
    world.json(&["enrol", text(&server.ready, "/enrolment_link")]);
    let state = world.json(&["evidence", "show", "CD-9"]);
    assert_eq!(text(&state, "/clause/state"), "gap");
    let (code, error) = world.fails(&["alarm", "test"]);
    assert_eq!((code, text(&error, "/code")), (5, "no-route"));
    assert_eq!(server.stop(), 0);
    let hook = secret(&world, "hook", "http://hook.example/hunter2\n");
    let route = format!("[{{ name = \"chat\", kind = \"slack\", secret_file = \"{hook}\" }}]");
    let data = world.data();
    let up = ["up", "--data", data.to_str().unwrap(), "--listen", "localhost:0"];
    let (code, error) = world.fails_in(&up, &[("TENET_ALARMS_ROUTE", &route)]);
    assert!(code == 2 && error.to_string().contains("`http://` is for this machine"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let web = Receiver::start(web);
    web.answers(200);
}
