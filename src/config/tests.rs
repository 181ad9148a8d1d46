//! What a mistake in the configuration is answered with.

use super::{Config, ConfigError, parse};

fn faults(text: &str) -> Vec<String> {
    match parse("tandem.toml", text, std::iter::empty()) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Faults(list)) => list.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    }
}

fn good(text: &str) -> Config {
    parse("tandem.toml", text, std::iter::empty()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn an_empty_file_is_a_configuration() {
    let config = good("");
    assert_eq!(config.http.to_string(), "127.0.0.1:3000");
    assert_eq!(config.tenants.len(), 1);
    assert_eq!(config.media.ports, (10_000, 31_999));
}

#[test]
fn a_typo_is_named_with_its_line_and_the_key_that_was_meant() {
    assert_eq!(
        faults("[http]\nlisten = \"127.0.0.1:3000\"\nbehind_prox = true\n"),
        ["tandem.toml:3: unknown key http.behind_prox; did you mean \"behind_proxy\"?"]
    );
    assert_eq!(faults("[htpp]\n"), ["tandem.toml:1: unknown key htpp; did you mean \"http\"?"]);
}

#[test]
fn all_mistakes_are_said_at_once_in_the_order_of_the_file() {
    let said = faults("[media]\nports = \"10000\"\nthreads = \"four\"\n[limits]\ncalls_per_second = 0\n");
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said[0].starts_with("tandem.toml:2: media.ports = \"10000\": write the first and the last port"),
        "{}",
        said[0]
    );
    assert!(said[1].starts_with("tandem.toml:3: media.threads is a string; write a whole number"), "{}", said[1]);
    assert!(said[2].contains("limits.calls_per_second = 0; write a number from 1"), "{}", said[2]);
}

#[test]
fn what_is_impossible_says_what_to_write_instead() {
    let table = [
        ("[http]\nlisten = \"0.0.0.0:3000\"", "behind_proxy = true"),
        ("[api]\nbootstrap_key = \"short\"", "32 characters"),
        ("[database]\nurl = \"mysql://x\"", "sqlite://tandem.db"),
        ("[sip]\nlisten = [\"udp:5060\"]", "udp://0.0.0.0:5060"),
        ("[sip]\nlisten = [\"tls://0.0.0.0:5061\"]", "[tls]"),
        ("[sip]\nlisten = [\"udp://1.2.3.4:5060\", \"udp://1.2.3.4:5060\"]", "twice"),
        ("[media]\nports = \"40000-50000\"", "end below"),
        ("[prompts]\ndir = \"/nowhere/at/all\"", "not a folder"),
        ("[[number]]\nnumber = \"+18325550100\"\ntenant = \"acme\"", "there is no [[tenant]] \"acme\""),
        ("[[number]]\nnumber = \"1\"\nanswer = { paly = \"welcome\" }", "play"),
        ("[[trunk]]\nname = \"t\"\nuri = \"sip:x@y\"", "without a user"),
        ("[[trunk]]\nname = \"t\"\nuri = \"sip:y;transport=ws\"", "WebSocket"),
        ("[[trunk]]\nname = \"t\"\nprofile = \"twillio\"\nuri = \"sip:y\"", "\"twilio\" or \"generic\""),
        ("[[trunk]]\nname = \"t\"\nuri = \"sip:y\"\nusername = \"u\"", "password"),
        (
            "[[trunk]]\nname = \"t\"\nuri = \"sip:y\"\nusername = \"u\"\npassword_file = \"/nowhere\"",
            "cannot read /nowhere",
        ),
        ("[[trunk]]\nname = \"t\"\nuri = \"sip:y\"\nprefixes = [\"1\"]", "\"+4930\""),
        ("[[trunk]]\nname = \"t\"\nuri = \"sip:y\"\ncosts = { \"+1\" = \"dear\" }", "0.0085"),
        ("[[trunk]]\nname = \"t\"\nuri = \"sip:y\"\nnumber_form = \"national\"", "country = \"49\""),
        ("[[trunk]]\nname = \"t\"\nuri = \"sip:y\"\nfinal_codes = [200]", "300 to 699"),
        ("[[trunk]]\nname = \"t\"\nuri = \"sip:y\"\nprioritie = 1", "did you mean \"priority\"?"),
        (
            "[[trunk]]\nname = \"t\"\nuri = \"sip:y\"\n[[trunk]]\nname = \"t\"\nuri = \"sip:z\"",
            "there is a [[trunk]] \"t\" already",
        ),
        ("[egress]\nallow = [\"10.0.0.0/33\"]", "10.0.0.0/8"),
        ("[egress]\nalow = []", "did you mean \"allow\""),
        ("[speech]\nurl = \"127.0.0.1:8000\"", "/v1/audio/speech"),
        ("[speech]\nvoice = \"nova\"", "write its url too"),
        ("[speech]\nurl = \"http://h/v1/audio/speech\"\nkey_file = \"/nowhere\"", "cannot read /nowhere"),
        ("[speech]\nrecogniser_url = \"http://h\"", "/v1/audio/transcriptions"),
        ("[speech]\nrecogniser_model = \"base.en\"", "write its recogniser_url too"),
        ("[recordings]\nkeep_days = 0", "a number from 1"),
        ("[[tenant]]\nname = \"a\"\naccount_sid = \"AC12\"", "32 hexadecimal digits"),
        ("[[tenant]]\nname = \"a\"\nauth_token = \"t\"\nauth_token_file = \"f\"", "write one of them"),
        ("[sip]\nlisten = [\"wss://127.0.0.1:5066\"]", "[tls]"),
        ("[sip]\nlisten = [\"udp://0.0.0.0:5060\"]\nregistrar = \"open\"", "lets anybody register"),
        ("[sip]\nregistrar = \"open\"", "lets anybody register"),
        ("[sip]\nregistrar = \"closed\"", "\"digest\""),
        ("[[user]]\nname = \"alice\"", "has no password"),
        ("[[user]]\nname = \"alice@here\"\npassword = \"p\"", "without the domain"),
        (
            "[[user]]\nname = \"a\"\npassword = \"p\"\n[[user]]\nname = \"a\"\npassword = \"q\"",
            "there is a [[user]] \"a\" of tenant \"default\" already",
        ),
        (
            "[[tenant]]\nname = \"a\"\nsip_domain = \"x.example\"\n[[tenant]]\nname = \"b\"\nsip_domain = \"X.example\"",
            "another tenant's",
        ),
    ];
    for (text, words) in table {
        let said = faults(text);
        assert!(said.len() == 1 && said[0].contains(words), "{text}\n{said:?}");
        assert!(said[0].starts_with("tandem.toml:"), "{said:?}");
    }
}

#[test]
fn the_environment_is_named_where_it_is_at_fault() {
    let set = [("TANDEM__MEDIA__TIMEOUT_S".to_owned(), "1".to_owned())];
    let Err(error) = parse("tandem.toml", "", set.into_iter()) else { panic!("it was taken") };
    assert!(error.to_string().starts_with("environment variable TANDEM__MEDIA__TIMEOUT_S: "), "{error}");
}

#[test]
fn a_trunk_and_a_number_are_read_whole() {
    let config = good(
        r#"
        [[trunk]]
        name = "twilio"
        profile = "twilio"
        uri = "sip:example.pstn.twilio.com;transport=tls"
        username = "u"
        password = "p"
        max_cps = 5
        accept_from = ["54.172.60.0/30", "127.0.0.1"]
        [[number]]
        number = "+18325550100"
        answer = [{ play = "welcome" }, { gather = "menu", max_digits = 1 }]
        "#,
    );
    assert_eq!(config.trunks[0].max_cps, 5);
    assert_eq!(config.trunks[0].accept_from.len(), 2);
    assert_eq!(config.numbers[0].answer.as_ref().map(|answer| answer.prompts().len()), Some(2));
    assert_eq!(config.numbers[0].tenant, "default");
}

#[test]
fn users_are_read_with_their_tenants_and_domains() {
    let config = good(
        r#"
        [sip]
        listen = ["udp://127.0.0.1:5060"]
        registrar = "open"
        [[tenant]]
        name = "default"
        [[tenant]]
        name = "acme"
        sip_domain = "Acme.Example"
        [[user]]
        name = "alice"
        tenant = "acme"
        password = "p"
        [[user]]
        name = "bob"
        "#,
    );
    assert_eq!(config.sip.registrar, super::Registrar::Open);
    assert_eq!(config.tenants[1].sip_domain.as_deref(), Some("acme.example"));
    let users: Vec<_> = config.users.iter().map(|user| (user.tenant.as_str(), user.name.as_str())).collect();
    assert_eq!(users, [("acme", "alice"), ("default", "bob")]);
    assert!(config.notes.is_empty(), "{:?}", config.notes);
}

#[test]
fn what_calls_may_ask_of_the_world_is_read_and_a_secret_is_not_shown() {
    let config = good(
        r#"
        [egress]
        allow = ["127.0.0.0/8", "10.1.2.3"]
        [speech]
        url = "http://127.0.0.1:8000/v1/audio/speech"
        key = "top-secret"
        cache_dir = "speech"
        recogniser_url = "http://127.0.0.1:8001/v1/audio/transcriptions"
        recogniser_key = "top-secret"
        [secrets]
        key_file = "there.key"
        [recordings]
        dir = "there"
        keep_days = 7
        [[tenant]]
        name = "default"
        account_sid = "AC00000000000000000000000000000001"
        auth_token = "top-secret"
        "#,
    );
    assert_eq!(config.key_file.to_str(), Some("there.key"));
    assert_eq!(config.egress_allow.len(), 2);
    assert_eq!(config.speech.endpoint.as_ref().map(|endpoint| endpoint.voice.as_str()), Some("alloy"));
    assert_eq!(config.speech.recogniser.as_ref().map(|recogniser| recogniser.model.as_str()), Some("whisper-1"));
    assert_eq!((config.recordings.dir.to_str(), config.recordings.keep_days), (Some("there"), 7));
    assert_eq!(config.tenants[0].auth_token.as_ref().map(carrier::Secret::expose), Some("top-secret"));
    assert!(!format!("{config:?}").contains("top-secret"));
    assert!(config.notes.is_empty(), "{:?}", config.notes);
}

#[test]
fn what_a_trunk_is_chosen_by_and_how_it_writes_numbers_is_read() {
    let config = good(
        "[[trunk]]\nname = \"t\"\nuri = \"sip:y\"\ngroup = \"us\"\npriority = 1\nweight = 5\nprefixes = [\"+1\"]\n\
         costs = { \"+1\" = \"0.005\" }\nwhen_full = \"wait\"\nfinal_codes = [503]\nnumber_form = \"digits\"\nprepend = \"99\"",
    );
    let (route, numbers) = (&config.trunks[0].route, &config.trunks[0].numbers);
    assert_eq!((route.priority, route.weight, route.final_codes.as_slice()), (1, 5, &[503][..]));
    assert_eq!(route.costs, [("1".to_owned(), 5_000)].into());
    assert_eq!(numbers.called(&"+18325550100".parse().expect("a number")), "9918325550100");
}
