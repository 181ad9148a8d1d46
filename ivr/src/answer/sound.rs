//! What a caller hears: prompts, files, speech, silence, keys.

use super::parse::{Parsed, Table, error, number, prompt, show, text, wrong};
use crate::http::link;
use crate::limits::{MAX_LOOP, MAX_PAUSE_S, MAX_PROMPTS, MAX_SAY};
use crate::prompt::PromptName;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use url::Url;

/// One thing to be heard, alone or inside a gather.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// A prompt by its name.
    Prompt(Play),
    /// A file that is fetched.
    Url {
        /// Where it is; `http` or `https`.
        url: Url,
        /// How often; 0: for ever.
        repeat: u32,
    },
    /// Words that are spoken.
    Say(Say),
    /// Silence.
    Pause {
        /// How long.
        seconds: u32,
    },
    /// Keys that are sent to the caller: `0-9 * # A-D`, and `w` for half a second of silence, `W` for a whole one.
    Digits(String),
}

/// `{ "play": "welcome", "loop": 1 }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// Which prompt.
    pub prompt: PromptName,
    /// How often, in a row; 0: for ever. At most [`MAX_LOOP`](crate::limits::MAX_LOOP).
    pub repeat: u32,
}

/// `{ "say": "Hello", "voice": "alice", "language": "en-GB" }`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Say {
    /// What is spoken, at most [`MAX_SAY`](crate::limits::MAX_SAY) characters.
    pub text: String,
    /// `text` is SSML, without its outermost element.
    pub markup: bool,
    /// Whose voice; none: the switch's own choice.
    pub voice: Option<String>,
    /// A language tag such as `en-US`; none: the voice's own.
    pub language: Option<String>,
    /// How often, in a row; 0: for ever.
    pub repeat: u32,
}

impl Sound {
    /// Words, spoken once by the switch's own choice of voice.
    pub(crate) fn words(text: impl Into<String>) -> Self {
        Self::Say(Say { text: text.into(), repeat: 1, ..Say::default() })
    }

    /// The prompt that it names.
    pub(super) fn prompt(&self) -> Option<&PromptName> {
        match self {
            Self::Prompt(play) => Some(&play.prompt),
            _ => None,
        }
    }
}

/// A prompt by name, or a file by URL.
pub(crate) fn play(name: &Value, table: &Table, path: &str) -> Parsed<Sound> {
    let repeat = number(table, "loop", path, 0..=MAX_LOOP, 1)?;
    if let Some(address) = name.as_str().filter(|name| name.starts_with("https://") || name.starts_with("http://")) {
        let url = link(address, None).map_err(|why| error(path, why))?;
        return Ok(Sound::Url { url, repeat });
    }
    Ok(Sound::Prompt(Play { prompt: prompt(name, path)?, repeat }))
}

pub(crate) fn say(words: &Value, table: &Table, path: &str) -> Parsed<Sound> {
    let Value::String(words) = words else {
        return wrong(path, format!("write the words in quotes, such as \"Hello\"; found {}", show(words)));
    };
    let length = words.chars().count();
    if !(1..=MAX_SAY).contains(&length) {
        return wrong(path, format!("1 to {MAX_SAY} characters are said, these are {length}"));
    }
    Ok(Sound::Say(Say {
        text: words.clone(),
        markup: false,
        voice: text(table, "voice", path)?,
        language: text(table, "language", path)?,
        repeat: number(table, "loop", path, 0..=MAX_LOOP, 1)?,
    }))
}

pub(crate) fn pause(seconds: &Value, path: &str) -> Parsed<Sound> {
    let whole = seconds.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=MAX_PAUSE_S).contains(n));
    match whole {
        Some(seconds) => Ok(Sound::Pause { seconds }),
        None => wrong(path, format!("whole seconds from 1 to {MAX_PAUSE_S}; found {}", show(seconds))),
    }
}

/// The sounds of a gather, in a row: `"menu"`, or an array of tables such as `{ "say": "Press one" }`.
pub(crate) fn sounds(items: &[Value], path: &str) -> Parsed<Vec<Sound>> {
    if items.len() > MAX_PROMPTS {
        return wrong(path, format!("at most {MAX_PROMPTS} sounds in a row, these are {}", items.len()));
    }
    items.iter().enumerate().map(|(nth, item)| sound(item, &format!("{path}[{nth}]"))).collect()
}

fn sound(item: &Value, path: &str) -> Parsed<Sound> {
    let instead = "a sound is a prompt's name, or a table with `play`, `say` or `pause`";
    let table = match item {
        Value::String(_) => return play(item, &Table::new(), path),
        Value::Object(table) => table,
        other => return wrong(path, format!("{instead}; found {}", show(other))),
    };
    let (word, argument) = super::parse::the_verb(table, path)?;
    super::parse::only_options_of(word, table, path)?;
    let inner = format!("{path}.{word}");
    match word {
        "play" => play(argument, table, &inner),
        "say" => say(argument, table, &inner),
        "pause" => pause(argument, &inner),
        other => wrong(&inner, format!("`{other}` makes no sound: {instead}")),
    }
}

/// Writes the entries of a sound into the table of its verb.
pub(super) fn write<M: SerializeMap>(table: &mut M, sound: &Sound) -> Result<(), M::Error> {
    match sound {
        Sound::Prompt(play) => write_play(table, "play", play),
        Sound::Url { url, repeat } => {
            table.serialize_entry("play", url.as_str())?;
            table.serialize_entry("loop", repeat)
        }
        Sound::Say(say) => {
            table.serialize_entry("say", &say.text)?;
            super::write::optional(table, "voice", say.voice.as_ref())?;
            super::write::optional(table, "language", say.language.as_ref())?;
            table.serialize_entry("loop", &say.repeat)
        }
        Sound::Pause { seconds } => table.serialize_entry("pause", seconds),
        Sound::Digits(keys) => table.serialize_entry("digits", keys),
    }
}

pub(super) fn write_play<M: SerializeMap>(table: &mut M, verb: &'static str, play: &Play) -> Result<(), M::Error> {
    table.serialize_entry(verb, &play.prompt)?;
    table.serialize_entry("loop", &play.repeat)
}

impl Serialize for Sound {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut table = to.serialize_map(None)?;
        write(&mut table, self)?;
        table.end()
    }
}
