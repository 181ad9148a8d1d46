//! What a trunk's requests look like, who is trusted over it, and what is refused of its configuration.

use base::Rng;
use carrier::{NotAdmitted, Number, Profile, Secret, Trunk, TrunkConfig, TrunkError, TrunkName};
use sip_core::sdp::AudioCodec;
use sip_core::transport::Transport;
use std::net::IpAddr;
use std::time::Duration;

const ACCOUNT: &str = "AC0123456789abcdef0123456789ABCDEF";

fn config(profile: Profile, uri: &str) -> TrunkConfig {
    TrunkConfig::new("t".parse().expect("a name"), profile, uri.parse().expect("a uri"))
}

fn twilio() -> TrunkConfig {
    TrunkConfig {
        username: Some("tandem".to_owned()),
        password: Some(Secret::from("Correct1Horse")),
        account_sid: Some(ACCOUNT.to_owned()),
        ..config(Profile::Twilio, "sip:example.pstn.twilio.com;transport=tls")
    }
}

fn generic() -> TrunkConfig {
    config(Profile::Generic, "sip:sip.carrier.example:5080")
}

fn trunk(config: TrunkConfig) -> Trunk {
    Trunk::new(config).expect("a valid trunk")
}

fn number(text: &str) -> Number {
    text.parse().expect("a number")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn keeps_the_trunks_own_name_in_the_request_uri() {
    let table = [
        ("sip:example.pstn.twilio.com;transport=tls", "sip:+18325550100@example.pstn.twilio.com;transport=tls"),
        ("sip:example.pstn.ashburn.twilio.com", "sip:+18325550100@example.pstn.ashburn.twilio.com"),
        ("sip:127.0.0.1:5070;transport=tcp", "sip:+18325550100@127.0.0.1:5070;transport=tcp"),
        ("sip:[2001:db8::1]:5070", "sip:+18325550100@[2001:db8::1]:5070"),
        ("sips:carrier.example", "sips:+18325550100@carrier.example"),
    ];
    for (uri, expected) in table {
        assert_eq!(trunk(config(Profile::Twilio, uri)).request_uri(&number("+18325550100")).as_str(), expected);
    }
}

#[test]
fn from_and_to_carry_neither_port_nor_transport() {
    let trunk = trunk(config(Profile::Twilio, "sip:example.pstn.twilio.com:5061;transport=tls"));
    let (from, to) = (number("+15551110000"), number("+15552220000"));
    assert_eq!(trunk.from_header(&from).to_string(), "<sip:+15551110000@example.pstn.twilio.com>");
    assert_eq!(trunk.to_header(&to).to_string(), "<sip:+15552220000@example.pstn.twilio.com>");
}

#[test]
fn asserts_the_same_identity_to_twilio_and_none_to_others() {
    let from = number("+15551110000");
    let asserted = ("P-Asserted-Identity".to_owned(), "<sip:+15551110000@example.pstn.twilio.com>".to_owned());
    assert_eq!(trunk(twilio()).extra_headers(&from), [asserted]);
    assert!(trunk(generic()).extra_headers(&from).is_empty());
}

#[test]
fn knows_its_next_hop() {
    let table = [
        ("sip:a.example", None, Transport::Udp),
        ("sip:a.example;transport=TCP", None, Transport::Tcp),
        ("sip:a.example:5071;transport=tls", Some(5071), Transport::Tls),
        ("sips:a.example", None, Transport::Tls),
    ];
    for (uri, port, transport) in table {
        let trunk = trunk(config(Profile::Generic, uri));
        assert_eq!(
            (trunk.host().to_string().as_str(), trunk.port(), trunk.transport()),
            ("a.example", port, transport)
        );
    }
}

#[test]
fn offers_both_g711_laws_mu_first_and_keeps_its_times() {
    let trunk = trunk(TrunkConfig { options_s: 30, ..twilio() });
    assert_eq!(trunk.offered_codecs(), [AudioCodec::Pcmu, AudioCodec::Pcma]);
    assert_eq!(
        (trunk.try_timeout(), trunk.options_interval()),
        (Duration::from_secs(4), Some(Duration::from_secs(30)))
    );
    assert_eq!(self::trunk(twilio()).options_interval(), None);
}

#[test]
fn registers_only_where_it_is_told_to() {
    let registered = TrunkConfig {
        register: true,
        username: Some("alice".to_owned()),
        password: Some(Secret::from("x")),
        ..generic()
    };
    let registered = trunk(registered);
    assert!(registered.registration(Rng::from_u64(1)).is_some());
    assert_eq!(registered.registrar().as_str(), "sip:sip.carrier.example:5080");
    assert_eq!(registered.address_of_record().unwrap().to_string(), "<sip:alice@sip.carrier.example>");
    assert!(trunk(generic()).registration(Rng::from_u64(1)).is_none());
    assert!(trunk(generic()).address_of_record().is_none());
}

#[test]
fn admits_twilios_ranges_only_with_our_account() {
    let ours = trunk(twilio());
    let other = "AC00000000000000000000000000000000";
    let table = [
        ("54.172.60.0", Some(ACCOUNT), Ok(())),
        ("54.172.60.3", Some(ACCOUNT), Ok(())),
        ("::ffff:54.172.60.3", Some(ACCOUNT), Ok(())),
        ("177.71.206.195", Some(ACCOUNT), Ok(())),
        ("54.172.60.4", Some(ACCOUNT), Err(NotAdmitted::Source)),
        ("127.0.0.1", Some(ACCOUNT), Err(NotAdmitted::Source)),
        ("168.86.128.1", Some(ACCOUNT), Err(NotAdmitted::Source)),
        ("2001:db8::1", Some(ACCOUNT), Err(NotAdmitted::Source)),
        ("54.172.60.0", Some(other), Err(NotAdmitted::OtherAccount)),
        ("54.172.60.0", None, Err(NotAdmitted::OtherAccount)),
    ];
    for (source, account, expected) in table {
        assert_eq!(ours.admits(ip(source), account), expected, "{source} {account:?}");
    }
}

#[test]
fn without_an_account_nobody_comes_in_from_shared_ranges() {
    let accept_from = vec!["127.0.0.0/8".parse().unwrap(), "54.172.60.0/30".parse().unwrap()];
    let unnamed = trunk(TrunkConfig { account_sid: None, accept_from, ..twilio() });
    assert_eq!(unnamed.admits(ip("54.172.60.0"), Some(ACCOUNT)), Err(NotAdmitted::NoAccount));
    assert_eq!(unnamed.admits(ip("127.0.0.1"), None), Ok(()));
}

#[test]
fn what_is_given_replaces_the_profiles_ranges() {
    let loopback = vec!["127.0.0.0/8".parse().unwrap()];
    let given = trunk(TrunkConfig { accept_from: loopback.clone(), media_from: loopback, ..twilio() });
    assert_eq!(given.admits(ip("54.172.60.0"), Some(ACCOUNT)), Err(NotAdmitted::Source));
    assert_eq!(given.admits(ip("127.0.0.9"), Some(ACCOUNT)), Ok(()));
    assert_eq!((given.hears(ip("127.0.0.9")), given.hears(ip("168.86.128.1"))), (true, false));
}

#[test]
fn hears_twilios_media_range_and_from_others_anybody() {
    let (twilio, generic) = (trunk(twilio()), trunk(generic()));
    for (source, heard) in
        [("168.86.128.0", true), ("168.86.191.255", true), ("168.86.192.0", false), ("10.0.0.1", false)]
    {
        assert_eq!(twilio.hears(ip(source)), heard, "{source}");
        assert!(generic.hears(ip(source)));
    }
    assert!(generic.media_from().is_none());
    assert_eq!(generic.admits(ip("10.0.0.1"), None), Err(NotAdmitted::Source));
}

#[test]
fn refuses_what_cannot_be_meant_and_names_the_key() {
    type Change = fn(&mut TrunkConfig);
    let out_of_range = |key, least, most, found| TrunkError::OutOfRange { key, least, most, found };
    let table: Vec<(Change, TrunkError, &str)> = vec![
        (|c| c.register = true, TrunkError::TwilioHasNoRegistrar, "register"),
        (|c| c.password = None, TrunkError::NoPassword, "password"),
        (|c| c.username = None, TrunkError::NoUsername, "username"),
        (|c| c.account_sid = Some("AC123".to_owned()), TrunkError::AccountSid, "account_sid"),
        (
            |c| c.account_sid = Some("SK0123456789abcdef0123456789abcdef".to_owned()),
            TrunkError::AccountSid,
            "account_sid",
        ),
        (|c| c.uri = "sip:alice@example.com".parse().unwrap(), TrunkError::Uri, "uri"),
        (|c| c.uri = "sip:example.com?X-A=b".parse().unwrap(), TrunkError::Uri, "uri"),
        (|c| c.uri = "tel:+18325550100".parse().unwrap(), TrunkError::Uri, "uri"),
        (|c| c.uri = "sip:example.com;transport=sctp".parse().unwrap(), TrunkError::Transport, "uri"),
        (|c| c.max_cps = 0, out_of_range("max_cps", 1, carrier::MAX_CPS.into(), 0), "max_cps"),
        (|c| c.max_calls = 0, out_of_range("max_calls", 1, u32::MAX.into(), 0), "max_calls"),
        (|c| c.try_timeout_ms = 499, out_of_range("try_timeout_ms", 500, 32_000, 499), "try_timeout_ms"),
        (|c| c.options_s = 9, out_of_range("options_s", 10, 86_400, 9), "options_s"),
        (|c| c.register_expires_s = 59, out_of_range("register_expires_s", 60, 86_400, 59), "register_expires_s"),
    ];
    for (change, error, key) in table {
        let mut config = twilio();
        change(&mut config);
        let found = Trunk::new(config).expect_err(key);
        assert_eq!((found.key(), &found), (key, &error));
        assert!(!found.to_string().is_empty());
    }
    let unnamed = TrunkConfig { register: true, ..generic() };
    assert_eq!(Trunk::new(unnamed).unwrap_err(), TrunkError::RegisterWithoutCredentials);
}

#[test]
fn a_trunks_name_is_plain() {
    assert!("a-b_c.D1".parse::<TrunkName>().is_ok());
    for bad in ["", "a b", "a/b", "ü", &"a".repeat(65)] {
        assert_eq!(bad.parse::<TrunkName>(), Err(TrunkError::Name), "{bad:?}");
    }
}

#[test]
fn notes_what_is_allowed_and_probably_not_meant() {
    assert!(trunk(twilio()).notes().is_empty());
    assert!(trunk(generic()).notes().is_empty());
    let loopback = trunk(config(Profile::Twilio, "sip:127.0.0.1:5070")).notes();
    assert_eq!(
        loopback.iter().map(|note| note.split(':').next().unwrap()).collect::<Vec<_>>(),
        ["uri", "username", "account_sid"]
    );
    assert!(trunk(TrunkConfig { srtp: true, ..generic() }).notes()[0].contains("in the clear"));
    assert!(trunk(TrunkConfig { srtp: true, ..twilio() }).notes().is_empty());
    assert!(trunk(TrunkConfig { srtp: true, ..config(Profile::Generic, "sips:a.example") }).notes().is_empty());
}

#[test]
fn no_debug_output_shows_the_password() {
    let trunk = trunk(twilio());
    assert!(!format!("{trunk:?}").contains("Correct1Horse"));
    assert_eq!(
        trunk.credentials().as_ref().map(|known| (known.username.as_str(), known.password.expose())),
        Some(("tandem", "Correct1Horse"))
    );
}

#[test]
fn hands_out_permits_by_its_own_limits() {
    let mut permits = trunk(TrunkConfig { max_cps: 2, max_calls: 1, ..generic() }).permits();
    let now = base::Now::default();
    let permit = permits.take(now).unwrap();
    assert_eq!(permits.take(now), Err(carrier::Denied::AllInUse));
    permits.release(permit);
    assert!(permits.take(now).is_ok());
}
