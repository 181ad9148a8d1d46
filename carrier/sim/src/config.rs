//! What a carrier is told once: where it is, whom it knows, and what a call to each number meets.

use crate::script::Script;
use base::Rng;
use media::{PortRange, Prompt};
use sip_core::auth::Credentials;
use sip_core::endpoint::NextHop;
use sip_core::sdp::AudioCodec;
use sip_core::transport::Local;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Calls at once, unless told otherwise. Beyond it an INVITE is answered 503.
pub const MAX_CALLS: usize = 5_000;
/// Realm of Twilio's challenges (TWILIO.md §1.3).
pub const TWILIO_REALM: &str = "sip.twilio.com";

/// See the head of this file. [`CarrierConfig::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct CarrierConfig {
    /// The bound listeners.
    pub locals: Vec<Local>,
    /// The address its SDP names.
    pub media_ip: IpAddr,
    /// Its RTP ports.
    pub ports: PortRange,
    /// Who may call, by digest; the realm defaults to Twilio's. `None`: everybody.
    pub credentials: Option<Credentials>,
    /// What a call meets that nothing else is said about.
    pub script: Script,
    /// What a call to some numbers meets; the first that fits.
    pub by_number: Vec<Rule>,
    /// What other calls meet, each as often as its weight says. Empty: [`CarrierConfig::script`].
    pub mix: Vec<(u32, Script)>,
    /// Twilio's manners: its edge, its headers, its rules about numbers.
    pub twilio: bool,
    /// The host that a Request-URI must name (TWILIO.md §1.2: another gets a bare 403). `None`: any.
    pub domain: Option<String>,
    /// The numbers that may call. Empty: any. Another gets 403 and `X-Twilio-Error: 32204`.
    pub caller_ids: Vec<String>,
    /// What it may say, and can recognise.
    pub prompts: Vec<Arc<Prompt>>,
    /// The codecs it takes and offers, its first choice first.
    pub codecs: Vec<AudioCodec>,
    /// Calls at once; [`MAX_CALLS`].
    pub max_calls: usize,
    /// New calls a second; 503 beyond it. `None`: any number.
    pub max_cps: Option<u32>,
    /// What is heard of a call is kept and searched for prompts.
    pub listens: bool,
    /// Reports carry what was heard, as octets.
    pub keeps_captures: bool,
    /// Where calls go that the carrier places to a bare number.
    pub originate_to: Option<NextHop>,
    /// The network's estimate of the round trip (RFC 3261 §17.1.1.1); shorter in a test that waits for 64·T1.
    pub t1: Duration,
}

/// What calls to some numbers meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A number, or with a leading `*` what it ends in.
    pub number: String,
    /// What they meet.
    pub script: Script,
}

impl Rule {
    fn fits(&self, called: &str) -> bool {
        match self.number.strip_prefix('*') {
            Some(suffix) => called.ends_with(suffix),
            None => called == self.number,
        }
    }
}

impl CarrierConfig {
    /// A carrier that rings and answers whoever calls.
    #[must_use]
    pub fn new(locals: Vec<Local>, media_ip: IpAddr, ports: PortRange) -> Self {
        Self {
            locals,
            media_ip,
            ports,
            credentials: None,
            script: Script::default(),
            by_number: Vec::new(),
            mix: Vec::new(),
            twilio: false,
            domain: None,
            caller_ids: Vec::new(),
            prompts: Vec::new(),
            codecs: vec![AudioCodec::Pcmu, AudioCodec::Pcma],
            max_calls: MAX_CALLS,
            max_cps: None,
            listens: true,
            keeps_captures: false,
            originate_to: None,
            t1: sip_core::transaction::T1,
        }
    }

    /// The first prompt that a script names and that the carrier does not have.
    #[must_use]
    pub fn missing_prompt(&self) -> Option<&str> {
        let scripts = self.by_number.iter().map(|rule| &rule.script).chain(self.mix.iter().map(|(_, script)| script));
        let mut names = scripts.chain([&self.script]).flat_map(Script::prompts);
        names.find(|name| self.prompt(name.as_str()).is_none()).map(crate::script::PromptName::as_str)
    }

    pub(crate) fn prompt(&self, name: &str) -> Option<&Arc<Prompt>> {
        self.prompts.iter().find(|prompt| prompt.name() == name)
    }

    pub(crate) fn realm(&self) -> &str {
        self.credentials.as_ref().and_then(|known| known.realm.as_deref()).unwrap_or(TWILIO_REALM)
    }
}

/// Which script a call meets. A choice by weight follows from the Call-ID, so that the INVITE that answers a challenge
/// meets the same as the one that was challenged.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    default: Arc<Script>,
    by_number: Vec<(Rule, Arc<Script>)>,
    mix: Vec<(u32, Arc<Script>)>,
    salt: u64,
}

impl Choice {
    pub(crate) fn new(config: &CarrierConfig, rng: &mut Rng) -> Self {
        Self {
            default: Arc::new(config.script.clone()),
            by_number: config.by_number.iter().map(|rule| (rule.clone(), Arc::new(rule.script.clone()))).collect(),
            mix: config.mix.iter().map(|(weight, script)| (*weight, Arc::new(script.clone()))).collect(),
            salt: rng.u64(),
        }
    }

    pub(crate) fn of(&self, called: &str, call_id: &str) -> Arc<Script> {
        if let Some((_, script)) = self.by_number.iter().find(|(rule, _)| rule.fits(called)) {
            return Arc::clone(script);
        }
        let total: u64 = self.mix.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut drawn = hash(self.salt, call_id) % total.max(1);
        for (weight, script) in &self.mix {
            match drawn.checked_sub(u64::from(*weight)) {
                Some(rest) => drawn = rest,
                None => return Arc::clone(script),
            }
        }
        Arc::clone(&self.default)
    }
}

/// A number that follows from a text; well mixed, not secret.
pub(crate) fn hash(salt: u64, text: &str) -> u64 {
    let mut trace = crate::virtual_network::Trace::default();
    trace.number(salt);
    trace.octets(text.as_bytes());
    trace.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(by_number: &[(&str, &str)], mix: &[(u32, &str)]) -> Choice {
        let mut config = CarrierConfig::new(Vec::new(), [127, 0, 0, 1].into(), PortRange::new(20_000, 20_001).unwrap());
        config.by_number = by_number
            .iter()
            .map(|(number, script)| Rule { number: (*number).to_owned(), script: script.parse().unwrap() })
            .collect();
        config.mix = mix.iter().map(|(weight, script)| (*weight, script.parse().unwrap())).collect();
        Choice::new(&config, &mut Rng::from_u64(1))
    }

    #[test]
    fn the_first_rule_that_fits_decides_before_the_mix() {
        let choice = choice(&[("+15550001", "busy"), ("*99", "silent"), ("*", "decline")], &[(1, "not found")]);
        let met = ["+15550001", "+15550199", "alice"].map(|called| choice.of(called, "x").to_string());
        assert_eq!(met, ["reject 486", "silent", "reject 603"]);
    }

    #[test]
    fn a_mix_keeps_its_weights_and_its_word() {
        let choice = choice(&[], &[(1, "busy"), (0, "silent"), (3, "answer")]);
        let met: Vec<_> = (0..4_000).map(|n| choice.of("x", &format!("call-{n}")).to_string()).collect();
        let busy = met.iter().filter(|script| *script == "reject 486").count();
        assert!((900..1_100).contains(&busy), "{busy}");
        assert!(!met.contains(&"silent".to_owned()));
        assert_eq!(choice.of("x", "call-7"), choice.of("x", "call-7"));
    }

    #[test]
    fn without_rules_and_mix_the_default_holds() {
        assert_eq!(*choice(&[], &[]).of("x", "y"), Script::default());
    }
}
