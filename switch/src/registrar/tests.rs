//! REGISTER by the letter of RFC 3261 §10.3, §22 and what of RFC 3327 and RFC 5626 is done here.

use super::*;
use sip_core::auth::{ClientAuth, Credentials};
use sip_core::transport::{LocalId, Transport};

const PHONE: &str = "192.0.2.9:5060";

fn user(name: &str, tenant: &str) -> User {
    User { name: name.into(), tenant: tenant.into(), password: format!("secret-{tenant}-{name}").as_str().into() }
}

fn tenant(name: &str, domain: Option<&str>) -> TenantDomain {
    TenantDomain { tenant: name.into(), sip_domain: domain.map(Into::into) }
}

fn config(open: bool) -> RegistrarConfig {
    RegistrarConfig {
        algorithms: Vec::new(),
        open,
        realm: "example.com".into(),
        domains: vec!["example.com".into()],
        tenants: vec![tenant("default", None), tenant("acme", Some("acme.example"))],
        users: vec![user("alice", "default"), user("bob", "default"), user("alice", "acme"), user("carol", "acme")],
        partial: false,
    }
}

/// A registrar and the time.
struct Bench {
    registrar: Registrar,
    now: Now,
    rng: Rng,
    cseq: u32,
}

impl Bench {
    fn new(open: bool) -> Self {
        let mut rng = Rng::from_u64(1);
        let registrar = Registrar::new(&config(open), &mut rng);
        Self { registrar, now: Now::new(base::secs(100), 1_700_000_000_000), rng, cseq: 0 }
    }

    fn wait(&mut self, s: u64) {
        self.now = self.now.plus(std::time::Duration::from_secs(s));
    }

    /// An open registrar's answer to a REGISTER with the next CSeq number.
    fn put(&mut self, lines: &str) -> Reply {
        self.cseq += 1;
        let cseq = self.cseq;
        self.put_as("call-1", cseq, lines)
    }

    fn put_as(&mut self, call_id: &str, cseq: u32, lines: &str) -> Reply {
        let request = register("alice@example.com", call_id, cseq, lines);
        self.registrar.register(&request, &source(PHONE), self.now)
    }

    fn contacts(&self) -> Vec<String> {
        self.registrar.bindings(self.now).into_iter().map(|binding| binding.contact).collect()
    }

    /// REGISTER with these credentials, a challenge answered once.
    fn log_in(&mut self, who: (&str, &str), password: &str, from: &str, lines: &str) -> Reply {
        self.cseq += 1;
        let plain = register(who.0, "login", self.cseq, lines);
        let challenge = match self.registrar.register(&plain, &source(from), self.now) {
            Reply::Refuse(StatusCode::UNAUTHORIZED, headers) => headers,
            other => return other,
        };
        let header = self.proof(who.1, password, challenge, "REGISTER", "sip:example.com");
        self.cseq += 1;
        let signed = register(who.0, "login", self.cseq, &format!("Authorization: {header}\n{lines}"));
        self.registrar.register(&signed, &source(from), self.now)
    }

    fn proof(&mut self, user: &str, password: &str, challenge: Headers, method: &str, uri: &str) -> String {
        let credentials = Credentials { username: user.into(), password: password.into(), realm: None };
        let values = challenge.into_iter().map(|(_, value)| value);
        let mut client = ClientAuth::new(Some(credentials));
        client.answer(401, values, method, uri, b"", &mut self.rng).unwrap().remove(0).value
    }
}

fn source(addr: &str) -> Source {
    Source { local: LocalId(0), transport: Transport::Udp, addr: addr.parse().unwrap(), flow: None }
}

fn over(flow: u64) -> Source {
    Source { transport: Transport::Tcp, flow: Some(FlowId(flow)), ..source("192.0.2.9:40000") }
}

fn message(text: &str) -> Message {
    Message::parse(text.replace('\n', "\r\n").into_bytes().into()).unwrap()
}

fn register(aor: &str, call_id: &str, cseq: u32, lines: &str) -> Message {
    let lines = if lines.is_empty() { String::new() } else { format!("{}\n", lines.trim_end()) };
    message(&format!(
        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{cseq}\nFrom: <sip:{aor}>;tag=1\n\
         To: <sip:{aor}>\nCall-ID: {call_id}\nCSeq: {cseq} REGISTER\nMax-Forwards: 70\n{lines}Content-Length: 0\n\n"
    ))
}

#[track_caller]
fn ok(reply: Reply) -> Vec<String> {
    let Reply::Answer(StatusCode::OK, headers) = reply else { panic!("{reply:?}") };
    headers.into_iter().filter(|(name, _)| name == "Contact").map(|(_, value)| value).collect()
}

#[track_caller]
fn refused(reply: &Reply, code: u16) {
    let Reply::Refuse(status, _) = reply else { panic!("{reply:?}") };
    assert_eq!(status.code(), code);
}

fn alice() -> UserId {
    UserId { tenant: "default".into(), name: "alice".into() }
}

#[test]
fn a_contact_is_bound_for_as_long_as_it_asks_and_no_longer() {
    let mut bench = Bench::new(true);
    let table = [
        ("Contact: <sip:a@192.0.2.9>", 3600),
        ("Contact: <sip:a@192.0.2.9>\nExpires: 120", 120),
        ("Contact: <sip:a@192.0.2.9>;expires=90\nExpires: 120", 90),
        ("Contact: <sip:a@192.0.2.9>;expires=soon", DEFAULT_EXPIRES),
        ("Contact: <sip:a@192.0.2.9>\nExpires: soon", DEFAULT_EXPIRES),
        ("Contact: <sip:a@192.0.2.9>;expires=99999999999999999999", MAX_EXPIRES),
    ];
    for (lines, expires) in table {
        assert_eq!(ok(bench.put(lines)), [format!("<sip:a@192.0.2.9>;expires={expires}")], "{lines}");
    }
    ok(bench.put("Contact: <sip:a@192.0.2.9>;expires=60"));
    bench.wait(59);
    assert_eq!(ok(bench.put("")), ["<sip:a@192.0.2.9>;expires=1"], "a question changes nothing (§10.2.3)");
    bench.wait(1);
    assert!(ok(bench.put("")).is_empty());
    assert_eq!(bench.registrar.next_expiry(), None);
}

#[test]
fn too_short_a_time_is_423_with_the_least() {
    let mut bench = Bench::new(true);
    let reply = bench.put("Contact: <sip:a@192.0.2.9>, <sip:b@192.0.2.9>;expires=59");
    let least = vec![("Min-Expires".to_owned(), MIN_EXPIRES.to_string())];
    assert_eq!(reply, Reply::Refuse(StatusCode::INTERVAL_TOO_BRIEF, least));
    assert!(bench.contacts().is_empty(), "all or nothing (§10.3 step 7)");
}

#[test]
fn a_contact_leaves_by_expires_0_and_all_by_a_star() {
    let mut bench = Bench::new(true);
    ok(bench.put("Contact: <sip:a@192.0.2.9>, <sip:b@192.0.2.9>"));
    assert_eq!(ok(bench.put("Contact: <sip:a@192.0.2.9>;expires=0")).len(), 1);
    assert_eq!(bench.contacts(), ["sip:b@192.0.2.9"]);
    for lines in ["Contact: *", "Contact: *\nExpires: 60", "Contact: *, <sip:b@192.0.2.9>\nExpires: 0"] {
        refused(&bench.put(lines), 400);
    }
    assert_eq!(bench.contacts().len(), 1);
    assert!(ok(bench.put("Contact: *\nExpires: 0")).is_empty());
}

#[test]
fn an_older_request_of_the_same_call_id_changes_nothing() {
    let mut bench = Bench::new(true);
    ok(bench.put_as("one", 5, "Contact: <sip:a@192.0.2.9>"));
    for (cseq, lines) in [
        (5, "Contact: <sip:a@192.0.2.9>;expires=0"),
        (4, "Contact: <sip:new@192.0.2.9>, <sip:a@192.0.2.9>;expires=100"),
        (5, "Contact: *\nExpires: 0"),
    ] {
        refused(&bench.put_as("one", cseq, lines), 500);
        assert_eq!(bench.contacts(), ["sip:a@192.0.2.9"], "{lines}");
    }
    assert!(ok(bench.put_as("two", 1, "Contact: <sip:a@192.0.2.9>;expires=0")).is_empty(), "another Call-ID may");
}

#[test]
fn a_contact_is_the_same_by_the_rules_of_uris() {
    let mut bench = Bench::new(true);
    ok(bench.put("Contact: <sip:%61lice@192.0.2.9;transport=udp;x=1>"));
    ok(bench.put("Contact: <sip:alice@192.0.2.9;Transport=UDP>"));
    assert_eq!(bench.contacts(), ["sip:alice@192.0.2.9;Transport=UDP"]);
    ok(bench.put("Contact: <sip:alice@192.0.2.9>"));
    assert_eq!(bench.contacts().len(), 2, "transport is always compared (§19.1.4)");
}

#[test]
fn escaped_nulls_stay_apart_and_escaped() {
    let mut bench = Bench::new(true);
    let lines = "Contact: <sip:%00@192.0.2.9>\nContact: <sip:%00%00@192.0.2.9>";
    let request = register("nul-%00-l@example.com", "x", 1, lines);
    let bound = ok(bench.registrar.register(&request, &source(PHONE), bench.now));
    assert_eq!(bound, ["<sip:%00@192.0.2.9>;expires=3600", "<sip:%00%00@192.0.2.9>;expires=3600"]);
    assert_eq!(bench.registrar.bindings(bench.now)[0].user, "nul-%00-l");
}

#[test]
fn parameters_belong_to_the_address_only_inside_brackets() {
    let mut bench = Bench::new(true);
    assert_eq!(ok(bench.put("Contact: sip:a@192.0.2.9;lit")), ["<sip:a@192.0.2.9>;lit;expires=3600"]);
    assert_eq!(ok(bench.put("Contact: <sip:b@192.0.2.9;lit>"))[1], "<sip:b@192.0.2.9;lit>;expires=3600");
}

#[test]
fn header_fields_in_a_contact_are_kept_and_never_sent() {
    let mut bench = Bench::new(true);
    let bound = ok(bench.put("Contact: <sip:a@192.0.2.9?Route=%3Csip:evil%3E>"));
    assert_eq!(bound, ["<sip:a@192.0.2.9?Route=%3Csip:evil%3E>;expires=3600"]);
    assert_eq!(bench.registrar.targets(&alice(), bench.now)[0].uri.to_string(), "sip:a@192.0.2.9");
}

#[test]
fn addresses_that_are_not_ours_or_not_sip_are_refused_before_anything_else() {
    let mut bench = Bench::new(false);
    let mut reply = |to: &str, lines: &str| {
        let text = String::from_utf8(register("alice@example.com", "x", 1, lines).raw().to_vec()).unwrap();
        let request = message(&text.replace("\r\n", "\n").replace("To: <sip:alice@example.com>", &format!("To: {to}")));
        bench.registrar.register(&request, &source(PHONE), bench.now)
    };
    refused(&reply("isbn:2983792873", ""), 400);
    refused(&reply("<sip:example.com>", ""), 400);
    refused(&reply("<sip:alice@elsewhere.example>", ""), 404);
    refused(&reply("<sip:alice@example.com>", "Contact: sip:a@b?x=y"), 400);
    refused(&reply("<sip:alice@example.com>", ""), 401);
    refused(&reply("<sip:nobody@192.0.2.1>", ""), 401);
}

#[test]
fn so_many_contacts_and_no_more() {
    let mut bench = Bench::new(true);
    for n in 0..MAX_BINDINGS {
        ok(bench.put(&format!("Contact: <sip:a{n}@192.0.2.9>")));
    }
    refused(&bench.put("Contact: <sip:more@192.0.2.9>"), 403);
    assert_eq!(bench.contacts().len(), MAX_BINDINGS);
    ok(bench.put("Contact: <sip:a0@192.0.2.9>;expires=60"));
    let many: Vec<String> = (0..=MAX_BINDINGS).map(|n| format!("<sip:b{n}@192.0.2.9>")).collect();
    refused(&bench.put(&format!("Contact: {}", many.join(", "))), 403);
}

#[test]
fn targets_come_by_preference_then_by_the_latest() {
    let mut bench = Bench::new(true);
    for lines in
        ["<sip:low@192.0.2.9>;q=0.1", "<sip:old@192.0.2.9>;q=0.7", "<sip:new@192.0.2.9>;q=0.7", "<sip:top@192.0.2.9>"]
    {
        ok(bench.put(&format!("Contact: {lines}")));
        bench.wait(1);
    }
    let users: Vec<String> = bench
        .registrar
        .targets(&alice(), bench.now)
        .into_iter()
        .map(|target| target.uri.user().unwrap().to_owned())
        .collect();
    assert_eq!(users, ["top", "new", "old", "low"]);
}

#[test]
fn a_phone_behind_a_nat_is_called_where_its_packets_come_from() {
    let hop = |via: &str, contact: &str, from: &str| {
        let mut bench = Bench::new(true);
        let text =
            String::from_utf8(register("alice@example.com", "x", 1, &format!("Contact: <{contact}>")).raw().to_vec())
                .unwrap();
        let request = message(&text.replace("\r\n", "\n").replace("UDP 192.0.2.9;", &format!("UDP {via};")));
        ok(bench.registrar.register(&request, &source(from), bench.now));
        let target = bench.registrar.targets(&alice(), bench.now).remove(0);
        let goes_back = target.next_hop.host == from.split(':').next().unwrap_or_default();
        assert_eq!(target.next_hop.local.is_some(), goes_back && !contact.contains(&target.next_hop.host));
        format!("{}:{}", target.next_hop.host, target.next_hop.port.unwrap_or(5060))
    };
    assert_eq!(hop("10.0.0.5", "sip:a@10.0.0.5", "203.0.113.7:31000"), "203.0.113.7:31000");
    assert_eq!(
        hop("203.0.113.7", "sip:a@10.0.0.5:5060", "203.0.113.7:5060"),
        "203.0.113.7:5060",
        "nobody reaches 10.0.0.5"
    );
    assert_eq!(hop("192.0.2.9", "sip:a@192.0.2.9", "192.0.2.9:5060"), "192.0.2.9:5060");
    assert_eq!(
        hop("192.0.2.9", "sip:a@198.51.100.4:5070", "192.0.2.9:5060"),
        "198.51.100.4:5070",
        "another device is meant"
    );
    assert_eq!(hop("192.0.2.9", "sip:a@phone.example.com", "192.0.2.9:5060"), "phone.example.com:5060");
}

#[test]
fn a_binding_over_a_connection_keeps_it_and_ends_with_it() {
    let mut bench = Bench::new(true);
    let put = |bench: &mut Bench, source: &Source, lines: &str| {
        bench.cseq += 1;
        let request = register("alice@example.com", "x", bench.cseq, lines);
        ok(bench.registrar.register(&request, source, bench.now))
    };
    put(&mut bench, &over(3), "Contact: <sip:a@192.0.2.9;transport=tcp>");
    assert_eq!(bench.registrar.take_changes(), [(FlowId(3), true)]);
    let target = bench.registrar.targets(&alice(), bench.now).remove(0);
    assert_eq!((target.flow, target.next_hop.flow), (Some(FlowId(3)), Some(FlowId(3))));
    // A refresh over another connection moves it.
    put(&mut bench, &over(5), "Contact: <sip:a@192.0.2.9;transport=tcp>");
    assert_eq!(bench.registrar.take_changes(), [(FlowId(3), false), (FlowId(5), true)]);
    put(&mut bench, &source(PHONE), "Contact: <sip:udp@192.0.2.9>");
    assert!(bench.registrar.flow_closed(FlowId(5)));
    assert_eq!(bench.contacts(), ["sip:udp@192.0.2.9"]);
    assert!(!bench.registrar.flow_closed(FlowId(5)) && bench.registrar.take_changes().is_empty());
}

#[test]
fn a_binding_lasts_no_longer_than_its_way_holds_without_a_word() {
    let mut bench = Bench::new(true);
    let mut left = |contact: &str, source: &Source| {
        bench.cseq += 1;
        let request = register("alice@example.com", "x", bench.cseq, &format!("Contact: <{contact}>;expires=3600"));
        ok(bench.registrar.register(&request, source, bench.now)).pop().unwrap()
    };
    let ends = |contact: String, expires: u32| assert!(contact.ends_with(&format!(";expires={expires}")), "{contact}");
    ends(left("sip:a@192.0.2.9;transport=tcp", &over(3)), MAX_FLOW_EXPIRES);
    ends(left("sip:a@10.0.0.9", &source(PHONE)), MAX_NAT_EXPIRES);
    ends(left("sip:a@192.0.2.9", &source(PHONE)), 3600);
}

#[test]
fn a_customer_is_a_guest_as_long_as_somebody_is_registered_there() {
    let mut bench = Bench::new(true);
    let home: std::net::IpAddr = "192.0.2.9".parse().unwrap();
    for (name, expires) in [("alice", 60), ("bob", 120)] {
        let lines = format!("Contact: <sip:{name}@192.0.2.9>;expires={expires}");
        let request = register(&format!("{name}@example.com"), name, 1, &lines);
        ok(bench.registrar.register(&request, &source(PHONE), bench.now));
    }
    assert_eq!(bench.registrar.take_acquaintances(), [(home, true)]);
    bench.wait(60);
    bench.registrar.expire(bench.now);
    assert!(bench.registrar.take_acquaintances().is_empty(), "bob is still there");
    bench.wait(60);
    bench.registrar.expire(bench.now);
    assert_eq!(bench.registrar.take_acquaintances(), [(home, false)]);
}

#[test]
fn a_connection_is_let_go_when_its_last_binding_ends() {
    let mut bench = Bench::new(true);
    for name in ["alice", "bob"] {
        let request = register(&format!("{name}@example.com"), name, 1, "Contact: <sip:a@192.0.2.9>;expires=60");
        ok(bench.registrar.register(&request, &over(3), bench.now));
        bench.wait(10);
    }
    assert_eq!(bench.registrar.take_changes(), [(FlowId(3), true)]);
    bench.wait(40);
    bench.registrar.expire(bench.now);
    assert!(bench.registrar.take_changes().is_empty(), "bob is still there");
    bench.wait(10);
    bench.registrar.expire(bench.now);
    assert_eq!(bench.registrar.take_changes(), [(FlowId(3), false)]);
}

#[test]
fn an_outbound_phone_is_known_by_its_instance() {
    let mut bench = Bench::new(true);
    let contact = |port: u16| {
        format!("Supported: outbound\nContact: <sip:a@192.0.2.9:{port}>;reg-id=1;+sip.instance=\"<urn:uuid:0>\"")
    };
    bench.put(&contact(1111));
    let Reply::Answer(_, headers) = bench.put(&contact(2222)) else { panic!("refused") };
    assert_eq!(bench.contacts(), ["sip:a@192.0.2.9:2222"]);
    assert!(headers.contains(&("Require".to_owned(), "outbound".to_owned())), "RFC 5626 §6");
}

#[test]
fn a_path_is_the_way_back_where_the_phone_knows_of_it() {
    let mut bench = Bench::new(true);
    let path = "Path: <sip:edge.example.net;lr>, <sip:core.example.net;lr>";
    bench.put(&format!("Supported: path\n{path}\nContact: <sip:a@10.0.0.1>"));
    let target = bench.registrar.targets(&alice(), bench.now).remove(0);
    assert_eq!((target.next_hop.host.as_str(), target.path.len()), ("edge.example.net", 2));
    bench.put(&format!("{path}\nContact: <sip:a@10.0.0.1>"));
    assert!(bench.registrar.targets(&alice(), bench.now)[0].path.is_empty(), "RFC 3327 §5.3");
}

#[test]
fn a_password_proves_its_own_user_and_no_other() {
    let mut bench = Bench::new(false);
    let lines = "Contact: <sip:a@192.0.2.9>";
    ok(bench.log_in(("alice@example.com", "alice"), "secret-default-alice", PHONE, lines));
    refused(&bench.log_in(("alice@example.com", "alice"), "wrong", PHONE, lines), 403);
    refused(&bench.log_in(("bob@example.com", "alice"), "secret-default-alice", PHONE, lines), 403);
    assert_eq!(bench.registrar.bindings(bench.now).len(), 1);
}

#[test]
fn each_domain_means_its_own_user() {
    let mut bench = Bench::new(false);
    let lines = "Contact: <sip:a@192.0.2.9>";
    ok(bench.log_in(("alice@acme.example", "alice"), "secret-acme-alice", PHONE, lines));
    refused(&bench.log_in(("alice@acme.example", "alice"), "secret-default-alice", PHONE, lines), 403);
    ok(bench.log_in(("carol@example.com", "carol"), "secret-acme-carol", PHONE, lines));
    let views = bench.registrar.bindings(bench.now);
    let owners: Vec<_> = views.iter().map(|view| (view.tenant.as_str(), view.user.as_str())).collect();
    assert_eq!(owners, [("acme", "alice"), ("acme", "carol")]);
}

#[test]
fn an_unknown_user_and_a_wrong_password_hear_the_same() {
    let mut bench = Bench::new(false);
    let mut said = Vec::new();
    for name in ["alice", "nobody"] {
        let aor = format!("{name}@example.com");
        let plain = register(&aor, "x", 1, "");
        let reply = bench.registrar.register(&plain, &source(PHONE), bench.now);
        refused(&reply, 401);
        let Reply::Refuse(_, challenge) = reply else { panic!("no challenge") };
        let shape: Vec<usize> = challenge.iter().map(|(_, value)| value.len()).collect();
        said.push((shape, bench.log_in((&aor, name), "wrong", PHONE, "")));
    }
    assert_eq!(said[0], said[1]);
}

#[test]
fn who_guesses_is_locked_out_and_the_registered_phone_is_not() {
    let mut bench = Bench::new(false);
    let lines = "Contact: <sip:a@192.0.2.9>";
    let good = |bench: &mut Bench, from: &str| {
        bench.log_in(("alice@example.com", "alice"), "secret-default-alice", from, lines)
    };
    ok(good(&mut bench, PHONE));
    for _ in 0..SOURCE_FAILURES {
        refused(&bench.log_in(("alice@example.com", "alice"), "guess", "198.51.100.1:5060", ""), 403);
    }
    assert_eq!(bench.log_in(("bob@example.com", "bob"), "guess", "198.51.100.1:5060", ""), Reply::Ignore);
    assert_eq!(bench.registrar.bans(bench.now).len(), 1);
    // A thousand sources, one guess each.
    for n in 0..1_000 {
        let from = format!("198.51.{}.{}:5060", n / 250, n % 250 + 2);
        bench.log_in(("alice@example.com", "alice"), "guess", &from, "");
    }
    assert!(bench.registrar.failures() < u64::from(SOURCE_FAILURES + USER_FAILURES) + 1);
    assert_eq!(good(&mut bench, "203.0.113.50:5060"), Reply::Ignore, "the right password from elsewhere waits");
    ok(good(&mut bench, PHONE));
    bench.wait(SOURCE_BAN.as_secs());
    assert!(bench.registrar.bans(bench.now).is_empty());
    ok(good(&mut bench, "203.0.113.50:5060"));
}

#[test]
fn an_invite_is_from_whom_its_credentials_prove_and_its_from_names() {
    let mut bench = Bench::new(false);
    let invite = |from: &str, lines: &str| {
        message(&format!(
            "INVITE sip:100@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKi\nFrom: <sip:{from}>;tag=1\n\
             To: <sip:100@example.com>\nCall-ID: i\nCSeq: 1 INVITE\n{lines}Content-Length: 0\n\n"
        ))
    };
    let ask = |bench: &mut Bench, message: &Message| bench.registrar.authenticate(message, &source(PHONE), bench.now);
    for (from, verdict) in [("alice@example.com", Verdict::User(alice())), ("bob@example.com", Verdict::Stranger)] {
        let Verdict::Challenge(challenge) = ask(&mut bench, &invite(from, "")) else { panic!("no challenge") };
        let proof = bench.proof("alice", "secret-default-alice", challenge, "INVITE", "sip:100@example.com");
        let signed = |name: &str| invite(from, &format!("{name}: Digest realm=\"other\", x=y\n{name}: {proof}\n"));
        assert_eq!(ask(&mut bench, &signed("Authorization")), verdict, "{from}");
        // The same proof once more is a replay: its nonce is used up.
        assert!(!matches!(ask(&mut bench, &signed("Proxy-Authorization")), Verdict::User(_)));
    }
    assert_eq!(ask(&mut bench, &invite("alice@elsewhere.example", "")), Verdict::Stranger);
}

#[test]
fn without_users_everybody_is_a_stranger() {
    let mut rng = Rng::from_u64(1);
    let mut registrar = Registrar::new(&RegistrarConfig { users: Vec::new(), ..config(false) }, &mut rng);
    let request = register("alice@example.com", "x", 1, "");
    refused(&registrar.register(&request, &source(PHONE), Now::new(1, 1)), 403);
}

#[test]
fn while_not_all_users_are_known_one_that_may_be_is_told_to_come_again_and_is_not_banned() {
    let mut bench = Bench::new(false);
    let config = RegistrarConfig { users: vec![user("alice", "default")], partial: true, ..config(false) };
    bench.registrar.replace(Arc::new(Directory::new(&config)), &mut bench.rng);
    let contact = "Contact: <sip:bob@192.0.2.9>\n";
    for _ in 0..2 * SOURCE_FAILURES {
        refused(&bench.log_in(("bob@example.com", "bob"), "secret-default-bob", PHONE, contact), 503);
        refused(&bench.log_in(("dave@late.example", "dave"), "secret", PHONE, contact), 503);
    }
    assert!(bench.registrar.bans(bench.now).is_empty());
    refused(&bench.log_in(("alice@example.com", "alice"), "a guess", PHONE, contact), 403);
    bench.registrar.replace(Arc::new(Directory::new(&super::tests::config(false))), &mut bench.rng);
    assert!(matches!(
        bench.log_in(("bob@example.com", "bob"), "secret-default-bob", PHONE, contact),
        Reply::Answer(StatusCode::OK, _)
    ));
    let nobody = RegistrarConfig { users: Vec::new(), partial: true, ..super::tests::config(false) };
    bench.registrar.replace(Arc::new(Directory::new(&nobody)), &mut bench.rng);
    refused(&bench.log_in(("bob@example.com", "bob"), "secret-default-bob", PHONE, contact), 503);
}

/// An INVITE from somebody who calls from outside.
fn invite(from: &str, lines: &str) -> Message {
    message(&format!(
        "INVITE sip:100@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKi\nFrom: <sip:{from}>;tag=1\n\
         To: <sip:100@192.0.2.1>\nCall-ID: i\nCSeq: 1 INVITE\n{lines}Content-Length: 0\n\n"
    ))
}

/// A bench whose trunk `carrier` proves itself as `peer`.
fn with_trunk(users: Vec<User>) -> Bench {
    let mut bench = Bench::new(false);
    let uri = carrier::Uri::parse(b"sip:carrier.example").unwrap();
    let mut trunk = carrier::TrunkConfig::new("carrier".parse().unwrap(), carrier::Profile::Generic, uri);
    trunk.inbound = Some(carrier::Inbound { username: "peer".into(), password: "secret-peer".into() });
    let directory = Directory::new(&RegistrarConfig { users, ..config(false) });
    let directory = directory.with_trunks(&[carrier::Trunk::new(trunk).unwrap()]);
    bench.registrar = Registrar::of(Arc::new(directory), &mut bench.rng);
    bench
}

impl Bench {
    /// What an INVITE comes to that answers a challenge once, as `user`.
    fn calls(&mut self, from: &str, user: &str, password: &str) -> Verdict {
        let challenge = match self.registrar.authenticate(&invite(from, ""), &source(PHONE), self.now) {
            Verdict::Challenge(challenge) => challenge,
            other => return other,
        };
        let proof = self.proof(user, password, challenge, "INVITE", "sip:100@192.0.2.1");
        let signed = invite(from, &format!("Authorization: {proof}\n"));
        self.registrar.authenticate(&signed, &source(PHONE), self.now)
    }
}

#[test]
fn a_carrier_proves_its_trunk_whoever_calls_over_it() {
    for users in [config(false).users, Vec::new()] {
        let mut bench = with_trunk(users);
        for from in
            ["+15550001@carrier.example", "+15550001@192.0.2.9", "alice@carrier.example", "+15550001@acme.example"]
        {
            assert_eq!(bench.calls(from, "peer", "secret-peer"), Verdict::Trunk("carrier".to_owned()), "{from}");
            assert_eq!(bench.calls(from, "peer", "wrong"), Verdict::Stranger, "{from}");
        }
        assert_eq!(bench.registrar.failures(), 4);
    }
}

#[test]
fn a_trunks_credentials_are_no_users_and_a_users_no_trunks() {
    let mut bench = with_trunk(config(false).users);
    assert_eq!(bench.calls("alice@example.com", "alice", "secret-default-alice"), Verdict::User(alice()));
    assert_eq!(bench.calls("alice@example.com", "peer", "secret-peer"), Verdict::Trunk("carrier".to_owned()));
    assert_eq!(bench.calls("+15550001@192.0.2.9", "alice", "secret-default-alice"), Verdict::Stranger);
    refused(&bench.log_in(("peer@example.com", "peer"), "secret-peer", PHONE, "Contact: <sip:p@192.0.2.9>"), 403);
    // A user of the trunk's name, who says so, is that user.
    let mut bench = with_trunk(vec![user("peer", "default")]);
    let peer = UserId { tenant: "default".into(), name: "peer".into() };
    assert_eq!(bench.calls("peer@example.com", "peer", "secret-default-peer"), Verdict::User(peer));
    assert_eq!(bench.calls("+15550001@192.0.2.9", "peer", "secret-peer"), Verdict::Trunk("carrier".to_owned()));
}

#[test]
fn who_guesses_a_trunks_password_is_banned_and_its_carrier_is_not() {
    let mut bench = with_trunk(Vec::new());
    let guess = |bench: &mut Bench, from: &str| {
        let ask = |bench: &mut Bench, lines: &str| {
            bench.registrar.authenticate(&invite("+15550001@192.0.2.9", lines), &source(from), bench.now)
        };
        let Verdict::Challenge(challenge) = ask(bench, "") else { return Verdict::Banned };
        let proof = bench.proof("peer", "guess", challenge, "INVITE", "sip:100@192.0.2.1");
        ask(bench, &format!("Authorization: {proof}\n"))
    };
    for _ in 0..SOURCE_FAILURES {
        assert_eq!(guess(&mut bench, "198.51.100.1:5060"), Verdict::Stranger);
    }
    assert_eq!(guess(&mut bench, "198.51.100.1:5060"), Verdict::Banned);
    // A thousand sources, one guess each: nobody's account is locked by that.
    for n in 0..1_000 {
        let _ = guess(&mut bench, &format!("198.51.{}.{}:5060", n / 250 + 101, n % 250 + 1));
    }
    assert_eq!(bench.calls("+15550001@192.0.2.9", "peer", "secret-peer"), Verdict::Trunk("carrier".to_owned()));
}

fn listeners() -> Vec<Local> {
    let at = |id, transport| {
        let addr = "192.0.2.1:5060".parse().unwrap();
        Local { id: LocalId(id), transport, bound: addr, advertised: addr, inside: addr }
    };
    vec![at(0, Transport::Udp), at(1, Transport::Tcp)]
}

#[test]
fn a_phone_is_where_it_was_after_a_restart_until_its_time_is_over() {
    let mut bench = Bench::new(true);
    let path = "Path: <sip:proxy.example.com;lr>\nSupported: path\n";
    bench.put(&format!("{path}Contact: <sip:alice@192.0.2.9>;q=0.5;expires=600\n"));
    bench.put("Contact: <sip:alice@10.1.1.1>;expires=60\n");
    let user = bench.registrar.find("default", "alice").unwrap();
    let kept = bench.registrar.take_moved(bench.now);
    assert_eq!(kept.len(), 1, "the last word on each: {kept:?}");
    assert!(bench.registrar.take_moved(bench.now).is_empty(), "and once");
    let text = serde_json::to_string(&kept).unwrap();
    let kept: Vec<KeptLocation> = serde_json::from_str(&text).unwrap();

    // Another process, whose clock counts from its own start, a minute and a half later.
    let mut next = Registrar::new(&config(false), &mut bench.rng);
    let later = Now::new(base::secs(2), bench.now.wall + 90_000);
    next.restore(&kept, &listeners(), later);
    let (was, is) = (bench.registrar.targets(&user, bench.now), next.targets(&user, later));
    assert_eq!((was.len(), is.len()), (2, 1), "one has ended meanwhile");
    assert!(was.contains(&is[0]), "{is:?} is none of {was:?}");
    assert_eq!(next.bindings(later)[0].expires_s, 510);
    assert_eq!(next.next_expiry(), Some(base::secs(2 + 510)));
    next.expire(Now::new(base::secs(513), later.wall + 511_000));
    let gone = next.take_moved(later);
    assert_eq!((gone.len(), gone[0].bindings.len()), (1, 0), "what has ended is not kept");
}

#[test]
fn what_hangs_on_a_connection_or_belongs_to_nobody_is_not_kept() {
    let mut bench = Bench::new(true);
    let request = register("alice@example.com", "c", 1, "Contact: <sip:alice@192.0.2.9;transport=tcp>\n");
    let over_tcp = Source { transport: Transport::Tcp, flow: Some(FlowId(7)), ..source(PHONE) };
    bench.registrar.register(&request, &over_tcp, bench.now);
    assert_eq!(bench.contacts().len(), 1);
    assert!(bench.registrar.take_moved(bench.now).is_empty());
    bench.put("Contact: <sip:alice@192.0.2.9>\n");
    let mut kept = bench.registrar.take_moved(bench.now);
    kept[0].user = "mallory".to_owned();
    let mut next = Registrar::new(&config(false), &mut bench.rng);
    next.restore(&kept, &listeners(), bench.now);
    assert!(next.bindings(bench.now).is_empty());
    assert_eq!(next.take_moved(bench.now)[0].bindings, [], "a user that there is no more is forgotten");
    kept[0].user = "alice".to_owned();
    next.restore(&kept, &listeners()[1..], bench.now);
    assert!(next.bindings(bench.now).is_empty(), "nobody listens on UDP any more");
}

#[test]
fn who_has_registered_since_stays_where_it_is() {
    let mut bench = Bench::new(true);
    bench.put("Contact: <sip:alice@192.0.2.9>\n");
    let kept = bench.registrar.take_moved(bench.now);
    let mut next = Bench::new(true);
    next.put("Contact: <sip:alice@192.0.2.77>\n");
    next.registrar.restore(&kept, &listeners(), next.now);
    assert_eq!(next.contacts(), ["sip:alice@192.0.2.77"]);
}
