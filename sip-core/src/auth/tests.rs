//! The RFCs' own vectors, Twilio's shape, and the walks of client and server.

use super::challenge::Qop;
use super::digest::{Proof, QopProof, response};
use super::*;
use base::{Now, Rng};
use proptest::prelude::*;

const URI: &str = "sip:+15550100@trunk.example";

fn credentials(realm: Option<&str>) -> Credentials {
    Credentials { username: "alice".into(), password: "Opensesame1".into(), realm: realm.map(str::to_owned) }
}

fn client() -> ClientAuth {
    ClientAuth::new(Some(credentials(None)))
}

fn rng() -> Rng {
    Rng::from_u64(3)
}

fn answer(client: &mut ClientAuth, status: u16, challenge: &str) -> Result<Vec<Authorization>, AuthFailure> {
    client.answer(status, [challenge], "INVITE", URI, b"", &mut rng())
}

fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.trim_start_matches("Digest ").split(", ").find_map(|p| p.strip_prefix(name)?.strip_prefix('='))
}

/// RFC 7616 §3.9.1: one challenge, answered with each algorithm.
#[test]
fn rfc_7616_vectors() {
    let proof = Proof {
        nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        qop: Some(QopProof { qop: Qop::Auth, nc: "00000001", cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ" }),
        method: "GET",
        uri: "/dir/index.html",
        body: b"",
    };
    let respond = |algorithm| {
        let ha1 = ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
        response(&ha1, &proof).as_str().to_owned()
    };
    assert_eq!(respond(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
    assert_eq!(respond(Algorithm::Sha256), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

/// RFC 2617 §3.5.
#[test]
fn rfc_2617_vector() {
    let ha1 = ha1(Algorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
    assert_eq!(ha1.as_hex(), "939e7578ed9e3c518a452acee763bce9");
    let proof = Proof {
        nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        qop: Some(QopProof { qop: Qop::Auth, nc: "00000001", cnonce: "0a4f113b" }),
        method: "GET",
        uri: "/dir/index.html",
        body: b"",
    };
    assert_eq!(response(&ha1, &proof).as_str(), "6629fae49393a05397450978507c4ef1");
    let rfc_2069 = Proof { qop: None, ..proof };
    assert_eq!(response(&ha1, &rfc_2069).as_str(), "670fd8c2df070c60b045671b8b24ff02");
}

#[test]
fn answers_twilios_challenge_in_its_own_shape() {
    let mut client = client();
    let challenge = r#"Digest realm="sip.twilio.com",qop="auth",nonce="n0nce",opaque="0paque""#;
    let headers = answer(&mut client, 407, challenge).unwrap();
    let [header] = headers.as_slice() else { panic!("{headers:?}") };
    assert_eq!(header.name, "Proxy-Authorization");
    let expected =
        r#"Digest username="alice", realm="sip.twilio.com", nonce="n0nce", uri="sip:+15550100@trunk.example""#;
    assert!(header.value.starts_with(expected), "{}", header.value);
    assert_eq!(parameter(&header.value, "qop"), Some("auth"));
    assert_eq!(parameter(&header.value, "nc"), Some("00000001"));
    assert_eq!(parameter(&header.value, "opaque"), Some("\"0paque\""));
    assert_eq!(parameter(&header.value, "algorithm"), None, "it was not named");
    let cnonce = parameter(&header.value, "cnonce").unwrap().trim_matches('"');
    let ha1 = ha1(Algorithm::Md5, "alice", "sip.twilio.com", "Opensesame1");
    let qop = Some(QopProof { qop: Qop::Auth, nc: "00000001", cnonce });
    let proof = Proof { nonce: "n0nce", qop, method: "INVITE", uri: URI, body: b"" };
    assert_eq!(parameter(&header.value, "response").unwrap().trim_matches('"'), response(&ha1, &proof).as_str());
}

#[test]
fn the_order_and_form_of_parameters_do_not_matter() {
    let challenge =
        Challenge::parse(b"Digest opaque=\"o\", nonce=\"n\" ,STALE=True,qop=auth,algorithm=\"md5\",realm=\"r\"");
    assert_eq!(
        challenge.unwrap(),
        Challenge {
            realm: "r".into(),
            nonce: "n".into(),
            opaque: Some("o".into()),
            qop: Some(Qop::Auth),
            algorithm: Algorithm::Md5,
            algorithm_named: true,
            stale: true,
        }
    );
}

#[test]
fn prefers_sha_256_and_passes_over_what_it_does_not_know() {
    let challenges = [
        "Basic realm=\"r\"",
        "Digest realm=\"r\", nonce=\"a\", algorithm=SHA-512-256, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"b\", algorithm=MD5, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"c\", algorithm=SHA-256, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"d\", algorithm=SHA-256, qop=\"auth\"",
        "Digest realm=\"r",
    ];
    let headers = client().answer(401, challenges, "REGISTER", "sip:r", b"", &mut rng()).unwrap();
    assert_eq!(headers[0].name, "Authorization");
    assert_eq!(parameter(&headers[0].value, "nonce"), Some("\"c\""));
    assert_eq!(parameter(&headers[0].value, "algorithm"), Some("SHA-256"));
}

#[test]
fn answers_without_qop_as_rfc_2069_and_with_auth_int_where_it_must() {
    let old = answer(&mut client(), 401, "Digest realm=\"r\", nonce=\"n\"").unwrap();
    assert_eq!((parameter(&old[0].value, "qop"), parameter(&old[0].value, "nc")), (None, None));
    let challenge = ["Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""];
    let response = |body: &[u8]| {
        let headers = client().answer(401, challenge, "INVITE", URI, body, &mut rng()).unwrap();
        assert_eq!(parameter(&headers[0].value, "qop"), Some("auth-int"));
        parameter(&headers[0].value, "response").unwrap().to_owned()
    };
    assert_ne!(response(b"one"), response(b"two"));
}

#[test]
fn says_why_it_does_not_answer() {
    let digest = "Digest realm=\"evil.example\", nonce=\"n\"";
    assert_eq!(answer(&mut ClientAuth::new(None), 401, digest), Err(AuthFailure::NoCredentials));
    let mut pinned = ClientAuth::new(Some(credentials(Some("sip.twilio.com"))));
    assert_eq!(answer(&mut pinned, 407, digest), Err(AuthFailure::RealmMismatch));
    assert!(pinned.authorize("BYE", URI, b"", &mut rng()).is_empty(), "nothing of it is remembered");
    let unknown = "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess";
    assert_eq!(answer(&mut client(), 401, unknown), Err(AuthFailure::UnsupportedAlgorithm));
    let qop = "Digest realm=\"r\", nonce=\"n\", qop=\"auth-conf\"";
    assert_eq!(answer(&mut client(), 401, qop), Err(AuthFailure::UnsupportedAlgorithm));
    for unreadable in ["Basic realm=\"r\"", "Digest realm=\"r\"", "Digest nonce=\"n\"", "Digest"] {
        assert_eq!(answer(&mut client(), 401, unreadable), Err(AuthFailure::Malformed), "{unreadable}");
    }
    assert_eq!(client().answer(401, [""; 0], "INVITE", URI, b"", &mut rng()), Err(AuthFailure::Malformed));
}

#[test]
fn a_second_challenge_without_stale_is_a_wrong_password() {
    let mut client = client();
    assert!(answer(&mut client, 407, "Digest realm=\"r\", nonce=\"1\", qop=\"auth\"").is_ok());
    let again = "Digest realm=\"r\", nonce=\"2\", qop=\"auth\"";
    assert_eq!(answer(&mut client, 407, again), Err(AuthFailure::Rejected));
}

#[test]
fn endless_stale_challenges_end_after_two_attempts() {
    let mut client = client();
    let mut challenge = |i: u32| answer(&mut client, 407, &format!("Digest realm=\"r\", nonce=\"{i}\", stale=true"));
    assert!(challenge(1).is_ok());
    assert!(challenge(2).is_ok());
    assert_eq!(challenge(3), Err(AuthFailure::TooManyAttempts));
    assert_eq!(challenge(4), Err(AuthFailure::TooManyAttempts));
}

#[test]
fn endless_challenges_for_new_realms_end_after_two_attempts() {
    let mut client = client();
    let mut challenge = |i: u32| answer(&mut client, 407, &format!("Digest realm=\"{i}\", nonce=\"n\""));
    assert!(challenge(1).is_ok());
    assert_eq!(challenge(2).unwrap().len(), 2, "two proxies, each with its own");
    assert_eq!(challenge(3), Err(AuthFailure::TooManyAttempts));
}

#[test]
fn a_proxy_and_a_server_behind_it_are_both_satisfied() {
    let mut client = client();
    assert_eq!(answer(&mut client, 407, "Digest realm=\"proxy\", nonce=\"1\", qop=\"auth\"").unwrap().len(), 1);
    let both = answer(&mut client, 401, "Digest realm=\"server\", nonce=\"2\", qop=\"auth\"").unwrap();
    assert_eq!([both[0].name, both[1].name], ["Proxy-Authorization", "Authorization"]);
    assert_eq!(parameter(&both[0].value, "nc"), Some("00000002"));
    assert_eq!(parameter(&both[1].value, "nc"), Some("00000001"));
}

#[test]
fn a_following_request_is_authorised_before_it_is_asked() {
    let mut client = client();
    assert!(client.authorize("INVITE", URI, b"", &mut rng()).is_empty());
    answer(&mut client, 407, "Digest realm=\"r\", nonce=\"1\", qop=\"auth\"").unwrap();
    let bye = client.authorize("BYE", URI, b"", &mut rng());
    assert_eq!(parameter(&bye[0].value, "nc"), Some("00000002"));
    // Twilio asks anew, and does not say stale: that is no wrong password.
    let asked_again = answer(&mut client, 407, "Digest realm=\"r\", nonce=\"2\", qop=\"auth\"").unwrap();
    assert_eq!(parameter(&asked_again[0].value, "nonce"), Some("\"2\""));
    assert_eq!(parameter(&asked_again[0].value, "nc"), Some("00000001"));
    let refused = answer(&mut client, 407, "Digest realm=\"r\", nonce=\"3\", qop=\"auth\"");
    assert_eq!(refused, Err(AuthFailure::Rejected));
}

#[test]
fn remembers_a_bounded_number_of_realms() {
    let mut client = client();
    for i in 0..2 * MAX_SPACES {
        client.authorize("INVITE", URI, b"", &mut rng());
        answer(&mut client, 407, &format!("Digest realm=\"{i}\", nonce=\"n\"")).unwrap();
    }
    assert_eq!(client.authorize("BYE", URI, b"", &mut rng()).len(), MAX_SPACES);
}

#[test]
fn no_debug_shows_a_secret() {
    let mut client = client();
    let headers = answer(&mut client, 407, "Digest realm=\"r\", nonce=\"n\"").unwrap();
    let response = parameter(&headers[0].value, "response").unwrap().trim_matches('"').to_owned();
    let ha1 = ha1(Algorithm::Md5, "alice", "r", "Opensesame1");
    let server = ServerAuth::new(ServerPolicy::new("r"), &mut rng());
    let shown = format!("{client:?} {headers:?} {ha1:?} {server:?}");
    assert!(shown.contains("***"));
    for secret in ["Opensesame1", response.as_str(), ha1.as_hex()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_stored_ha1_is_read_back_and_nothing_else_is() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let ha1 = ha1(algorithm, "alice", "r", "p");
        assert_eq!(Ha1::from_hex(algorithm, ha1.as_hex()), Some(ha1.clone()));
        assert_eq!(Ha1::from_hex(algorithm, &ha1.as_hex().to_uppercase()), Some(ha1));
        for bad in ["", "00", &"g".repeat(algorithm as usize * 32 + 32), &"0".repeat(65), &"é".repeat(16)] {
            assert_eq!(Ha1::from_hex(algorithm, bad), None, "{bad:?}");
        }
    }
}

/// A server that knows alice, and the walk of one request through it.
struct Walk {
    server: ServerAuth,
    client: ClientAuth,
    now: Now,
    rng: Rng,
}

impl Walk {
    fn new(policy: ServerPolicy) -> Self {
        let mut rng = rng();
        Self { server: ServerAuth::new(policy, &mut rng), client: client(), now: Now::new(1, 1), rng }
    }

    fn verify(&mut self, header: Option<&str>) -> Verdict {
        let known =
            |user: &str, realm: &str, algorithm| (user == "alice").then(|| ha1(algorithm, user, realm, "Opensesame1"));
        self.server.verify(header.map(str::as_bytes), "INVITE", URI, known, self.now)
    }

    /// What the client answers to a challenge.
    fn respond(&mut self, verdict: &Verdict) -> String {
        let Verdict::Challenge { headers, .. } = verdict else { panic!("{verdict:?}") };
        self.client.answer(401, headers, "INVITE", URI, b"", &mut self.rng).unwrap().remove(0).value
    }

    fn challenge_and_respond(&mut self) -> String {
        let challenge = self.verify(None);
        self.respond(&challenge)
    }
}

fn accepted() -> Verdict {
    Verdict::Accepted { username: "alice".into() }
}

fn is_challenge(verdict: &Verdict, expected_stale: bool) -> bool {
    matches!(verdict, Verdict::Challenge { stale, .. } if *stale == expected_stale)
}

#[test]
fn the_server_accepts_each_algorithm_that_it_offers() {
    for (algorithms, name_md5) in
        [(vec![Algorithm::Sha256, Algorithm::Md5], true), (vec![Algorithm::Md5], true), (vec![Algorithm::Md5], false)]
    {
        let mut walk = Walk::new(ServerPolicy { algorithms, name_md5, ..ServerPolicy::new("r\"x\\") });
        let header = walk.challenge_and_respond();
        assert_eq!(walk.verify(Some(&header)), accepted());
    }
}

#[test]
fn the_server_can_challenge_as_twilio_does() {
    let policy = ServerPolicy {
        algorithms: vec![Algorithm::Md5],
        name_md5: false,
        opaque: Some("0paque".into()),
        ..ServerPolicy::new("sip.twilio.com")
    };
    let Verdict::Challenge { headers, stale: false } = Walk::new(policy).verify(None) else { panic!() };
    let [header] = headers.as_slice() else { panic!("{headers:?}") };
    assert!(header.starts_with("Digest realm=\"sip.twilio.com\", qop=\"auth\", nonce=\""), "{header}");
    assert!(header.ends_with(", opaque=\"0paque\""), "{header}");
}

#[test]
fn a_nonce_serves_several_requests_but_no_response_serves_twice() {
    let mut walk = Walk::new(ServerPolicy::new("r"));
    let first = walk.challenge_and_respond();
    assert_eq!(walk.verify(Some(&first)), accepted());
    let second = walk.client.authorize("INVITE", URI, b"", &mut rng()).remove(0).value;
    assert_eq!(walk.verify(Some(&second)), accepted());
    for replayed in [first, second] {
        assert!(is_challenge(&walk.verify(Some(&replayed)), true));
    }
}

#[test]
fn an_old_nonce_is_stale_where_the_password_is_right_and_refused_where_it_is_wrong() {
    let mut walk = Walk::new(ServerPolicy::new("r"));
    let header = walk.challenge_and_respond();
    walk.client = ClientAuth::new(Some(Credentials { password: "wrong".into(), ..credentials(None) }));
    let wrong = walk.challenge_and_respond();
    walk.now = walk.now.plus(NONCE_LIFETIME * 2);
    let verdict = walk.verify(Some(&header));
    assert!(is_challenge(&verdict, true));
    let Verdict::Challenge { headers, .. } = &verdict else { panic!() };
    assert!(headers.iter().all(|header| header.contains(", stale=true")));
    assert_eq!(walk.verify(Some(&wrong)), Verdict::Rejected { reason: Rejection::Credentials });
}

#[test]
fn a_nonce_from_before_a_restart_is_stale() {
    let mut walk = Walk::new(ServerPolicy::new("r"));
    let header = walk.challenge_and_respond();
    walk.server = ServerAuth::new(ServerPolicy::new("r"), &mut Rng::from_u64(99));
    let verdict = walk.verify(Some(&header));
    assert!(is_challenge(&verdict, true));
    let retried = walk.respond(&verdict);
    assert_eq!(walk.verify(Some(&retried)), accepted());
}

#[test]
fn unknown_user_and_wrong_password_hear_the_same() {
    for (username, password) in [("alice", "wrong"), ("mallory", "Opensesame1"), ("", "")] {
        let mut walk = Walk::new(ServerPolicy::new("r"));
        walk.client =
            ClientAuth::new(Some(Credentials { username: username.into(), password: password.into(), realm: None }));
        let header = walk.challenge_and_respond();
        assert_eq!(walk.verify(Some(&header)), Verdict::Rejected { reason: Rejection::Credentials });
    }
}

#[test]
fn an_answer_to_another_challenge_is_challenged() {
    let mut walk = Walk::new(ServerPolicy { algorithms: vec![Algorithm::Sha256], ..ServerPolicy::new("r") });
    for challenge in ["Digest realm=\"other\", nonce=\"n\", algorithm=SHA-256", "Digest realm=\"r\", nonce=\"n\""] {
        let header = answer(&mut client(), 401, challenge).unwrap().remove(0).value;
        assert!(is_challenge(&walk.verify(Some(&header)), false), "{header}");
    }
    assert!(is_challenge(&walk.verify(Some("Basic YTpi")), false));
}

#[test]
fn what_cannot_be_judged_is_refused_with_400() {
    let mut walk = Walk::new(ServerPolicy::new("r"));
    let good = walk.challenge_and_respond();
    let bad = [
        good.replace("nc=00000001", "nc=1"),
        good.replace("nc=00000001", "nc=+0000001"),
        good.replace("nc=00000001", "nc=0000000g"),
        good.replace("nc=00000001, ", ""),
        good.replace("qop=auth,", "qop=auth-int,"),
        good.replace("username=", "username*="),
        good.replace("response=", "reply="),
        good.replace("sip:", "sips:"),
        format!("{good}, nonce=x"),
    ];
    for header in bad {
        let Verdict::Rejected { reason } = walk.verify(Some(&header)) else { panic!("{header}") };
        assert_eq!(reason.status(), 400, "{header}");
    }
    assert_eq!(walk.verify(Some(&good)), accepted(), "none of them has used up the nonce");
}

#[test]
fn a_response_without_qop_is_accepted_once() {
    let mut walk = Walk::new(ServerPolicy { algorithms: vec![Algorithm::Md5], ..ServerPolicy::new("r") });
    let Verdict::Challenge { headers, .. } = walk.verify(None) else { panic!() };
    let old = headers[0].replace("qop=\"auth\", ", "");
    let header = answer(&mut client(), 401, &old).unwrap().remove(0).value;
    assert_eq!(walk.verify(Some(&header)), accepted());
    assert!(is_challenge(&walk.verify(Some(&header)), true));
}

proptest! {
    #[test]
    fn any_user_realm_and_password_can_authenticate(user in "[^\\p{Cc}]{0,20}", realm in "[^\\p{Cc}]{0,20}", password in ".{0,20}") {
        let mut rng = rng();
        let mut server = ServerAuth::new(ServerPolicy::new(&realm), &mut rng);
        let Verdict::Challenge { headers, .. } = server.challenge(false, Now::default()) else { panic!() };
        let credentials = Credentials { username: user.clone(), password: password.as_str().into(), realm: None };
        let mut client = ClientAuth::new(Some(credentials));
        let header = client.answer(401, &headers, "REGISTER", "sip:x", b"", &mut rng).unwrap().remove(0).value;
        let stored = |user: &str, realm: &str, algorithm| Some(ha1(algorithm, user, realm, &password));
        let verdict = server.verify(Some(header.as_bytes()), "REGISTER", "sip:x", stored, Now::default());
        prop_assert_eq!(verdict, Verdict::Accepted { username: user });
    }

    #[test]
    fn the_fuzz_target_holds(params in proptest::collection::vec(param(), 0..8)) {
        fuzz(format!("Digest {}", params.join(",")).as_bytes());
    }
}

fn param() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "(realm|nonce|opaque|username|uri|response|cnonce)=\"([ -~\t]|\\\\.|é){0,12}\"",
        2 => "(qop=\"?(auth|auth-int|auth,auth-int)\"?|stale=(true|false)|algorithm=(MD5|SHA-256|x)|nc=0000000[0-9])",
        1 => "[ -~]{0,20}",
    ]
}
