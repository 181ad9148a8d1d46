//! Twilio's names of voices and languages (TWILIO.md §4), as espeak-ng has them. Pure.

use ivr::Say;

/// What is spoken where neither a language nor a voice that has one is named (TWILIO.md §4.1).
const LANGUAGE: &str = "en-US";

/// Languages that espeak-ng calls otherwise than by the first part of their tag, in lower case.
const OTHERWISE: [(&str, &str); 13] = [
    ("en-us", "en-us"),
    ("en-ca", "en-us"),
    ("en", "en-us"),
    ("en-gb-wls", "en-gb"),
    ("es-mx", "es-419"),
    ("es-us", "es-419"),
    ("es-419", "es-419"),
    ("pt-br", "pt-br"),
    ("zh-hk", "yue"),
    ("yue-cn", "yue"),
    ("fr-be", "fr-be"),
    ("fr-ch", "fr-ch"),
    ("arb", "ar"),
];

/// First parts of a tag that are not what espeak-ng calls the language.
const FAMILY: [(&str, &str); 6] =
    [("en", "en-gb"), ("fr", "fr-fr"), ("zh", "cmn"), ("no", "nb"), ("iw", "he"), ("fil", "en-us")];

/// Polly's voices: their language, and whether it is a man's.
const POLLY: &[(&str, &str, bool)] = &[
    ("Aditi", "hi-IN", false),
    ("Amy", "en-GB", false),
    ("Arlet", "ca-ES", false),
    ("Arthur", "en-GB", true),
    ("Astrid", "sv-SE", false),
    ("Ayanda", "en-ZA", false),
    ("Bianca", "it-IT", false),
    ("Brian", "en-GB", true),
    ("Camila", "pt-BR", false),
    ("Carla", "it-IT", false),
    ("Carmen", "ro-RO", false),
    ("Celine", "fr-FR", false),
    ("Chantal", "fr-CA", false),
    ("Conchita", "es-ES", false),
    ("Cristiano", "pt-PT", true),
    ("Daniel", "de-DE", true),
    ("Danielle", "en-US", false),
    ("Dora", "is-IS", false),
    ("Elin", "sv-SE", false),
    ("Emma", "en-GB", false),
    ("Enrique", "es-ES", true),
    ("Ewa", "pl-PL", false),
    ("Filiz", "tr-TR", false),
    ("Gabrielle", "fr-CA", false),
    ("Geraint", "en-GB-WLS", true),
    ("Giorgio", "it-IT", true),
    ("Gregory", "en-US", true),
    ("Gwyneth", "cy-GB", false),
    ("Hala", "ar-AE", false),
    ("Hannah", "de-AT", false),
    ("Hans", "de-DE", true),
    ("Hiujin", "yue-CN", false),
    ("Ida", "nb-NO", false),
    ("Ines", "pt-PT", false),
    ("Ivy", "en-US", false),
    ("Jacek", "pl-PL", true),
    ("Jan", "pl-PL", true),
    ("Joanna", "en-US", false),
    ("Joey", "en-US", true),
    ("Justin", "en-US", true),
    ("Kajal", "en-IN", false),
    ("Karl", "is-IS", true),
    ("Kazuha", "ja-JP", false),
    ("Kendra", "en-US", false),
    ("Kevin", "en-US", true),
    ("Kimberly", "en-US", false),
    ("Laura", "nl-NL", false),
    ("Lea", "fr-FR", false),
    ("Liam", "fr-CA", true),
    ("Liv", "nb-NO", false),
    ("Lotte", "nl-NL", false),
    ("Lucia", "es-ES", false),
    ("Lupe", "es-US", false),
    ("Mads", "da-DK", true),
    ("Maja", "pl-PL", false),
    ("Marlene", "de-DE", false),
    ("Mathieu", "fr-FR", true),
    ("Matthew", "en-US", true),
    ("Maxim", "ru-RU", true),
    ("Mia", "es-MX", false),
    ("Miguel", "es-US", true),
    ("Mizuki", "ja-JP", false),
    ("Naja", "da-DK", false),
    ("Niamh", "en-IE", false),
    ("Nicole", "en-AU", false),
    ("Ola", "pl-PL", false),
    ("Olivia", "en-AU", false),
    ("Pedro", "es-US", true),
    ("Penelope", "es-US", false),
    ("Raveena", "en-IN", false),
    ("Remi", "fr-FR", true),
    ("Ricardo", "pt-BR", true),
    ("Ruben", "nl-NL", true),
    ("Russell", "en-AU", true),
    ("Ruth", "en-US", false),
    ("Salli", "en-US", false),
    ("Seoyeon", "ko-KR", false),
    ("Sergio", "es-ES", true),
    ("Sofie", "da-DK", false),
    ("Stephen", "en-US", true),
    ("Suvi", "fi-FI", false),
    ("Takumi", "ja-JP", true),
    ("Tatyana", "ru-RU", false),
    ("Thiago", "pt-BR", true),
    ("Tomoko", "ja-JP", false),
    ("Vicki", "de-DE", false),
    ("Vitoria", "pt-BR", false),
    ("Zeina", "arb", false),
    ("Zhiyu", "cmn-CN", false),
];

/// Who speaks, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Speaker {
    language: String,
    man: bool,
}

fn speaker(say: &Say) -> Speaker {
    let voice = say.voice.as_deref().unwrap_or_default();
    let (of_voice, man) = match voice.split_once('.') {
        Some(("Polly", name)) => {
            let name = name.split('-').next().unwrap_or_default();
            POLLY.iter().find(|(known, ..)| *known == name).map_or((None, false), |(_, tag, man)| (Some(*tag), *man))
        }
        // Google.en-US-Neural2-A: the language is the first two parts of the name.
        Some(("Google", name)) => (google_language(name), false),
        _ => (None, voice.eq_ignore_ascii_case("man")),
    };
    let language = say.language.as_deref().or(of_voice).unwrap_or(LANGUAGE);
    Speaker { language: language.to_ascii_lowercase().replace('_', "-"), man }
}

fn google_language(name: &str) -> Option<&str> {
    let second = name.match_indices('-').nth(1).map_or(name.len(), |(at, _)| at);
    name.get(..second).filter(|tag| !tag.is_empty())
}

/// What espeak-ng is to be called with: `en-us+f3`. Made of nothing but `a-z0-9+-`, whatever was asked for.
pub(super) fn espeak(say: &Say) -> String {
    let Speaker { language, man } = speaker(say);
    let first = language.split('-').next().unwrap_or_default();
    let among = |table: &[(&'static str, &'static str)], tag: &str| {
        table.iter().find(|(known, _)| *known == tag).map(|(_, name)| *name)
    };
    let name = among(&OTHERWISE, &language).or_else(|| among(&FAMILY, first)).unwrap_or(first);
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(16).collect();
    format!("{name}+{}", if man { "m3" } else { "f3" })
}

/// The voice that an endpoint is asked for: the one named, where it is no name of Twilio's, or `usual`.
pub(super) fn endpoint<'a>(say: &'a Say, usual: &'a str) -> &'a str {
    let twilios = |voice: &&str| {
        !["man", "woman", "alice"].contains(voice) && !voice.starts_with("Polly.") && !voice.starts_with("Google.")
    };
    say.voice.as_deref().filter(twilios).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(voice: Option<&str>, language: Option<&str>) -> String {
        espeak(&Say { voice: voice.map(Into::into), language: language.map(Into::into), ..Say::default() })
    }

    #[test]
    fn voices_and_languages_are_espeaks() {
        for (asked, language, wanted) in [
            (None, None, "en-us+f3"),
            (Some("man"), None, "en-us+m3"),
            (Some("alice"), Some("pt-BR"), "pt-br+f3"),
            (Some("woman"), Some("de-DE"), "de+f3"),
            (Some("Polly.Hans"), None, "de+m3"),
            (Some("Polly.Joanna-Neural"), None, "en-us+f3"),
            (Some("Polly.Amy"), None, "en-gb+f3"),
            (Some("Polly.Nobody"), Some("fr-CA"), "fr-fr+f3"),
            (Some("Google.es-US-Neural2-A"), None, "es-419+f3"),
            (Some("Google.cmn-CN-Standard-B"), None, "cmn+f3"),
            (None, Some("zh-TW"), "cmn+f3"),
            (None, Some("en_AU"), "en-gb+f3"),
            (None, Some("../../etc/x y;\u{e9}"), "etcxy+f3"),
        ] {
            assert_eq!(voice(asked, language), wanted, "{asked:?} {language:?}");
        }
    }

    #[test]
    fn an_endpoint_is_asked_for_its_own_voices_and_never_for_twilios() {
        let named = |voice: &str| Say { voice: Some(voice.to_owned()), ..Say::default() };
        assert_eq!(endpoint(&named("nova"), "alloy"), "nova");
        for voice in ["alice", "Polly.Joanna", "Google.en-US-Wavenet-A"] {
            assert_eq!(endpoint(&named(voice), "alloy"), "alloy");
        }
        assert_eq!(endpoint(&Say::default(), "alloy"), "alloy");
    }
}
