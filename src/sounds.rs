//! The built-in prompts: `sounds/`, inside the binary.

macro_rules! sounds {
    ($($name:literal),* $(,)?) => {
        /// Name and WAV file of each.
        pub const SOUNDS: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("../sounds/", $name, ".wav")).as_slice())),*];
    };
}

sounds![
    "busy",
    "digit-0",
    "digit-1",
    "digit-2",
    "digit-3",
    "digit-4",
    "digit-5",
    "digit-6",
    "digit-7",
    "digit-8",
    "digit-9",
    "digit-pound",
    "digit-star",
    "goodbye",
    "hold-music",
    "menu",
    "ringback",
    "sorry",
    "welcome",
];

#[cfg(test)]
mod tests {
    use super::SOUNDS;

    #[test]
    fn every_sound_of_the_folder_is_in_the_binary() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sounds");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| {
                entry.unwrap().file_name().into_string().unwrap().strip_suffix(".wav").map(str::to_owned)
            })
            .collect();
        files.sort();
        let built_in: Vec<&str> = SOUNDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, built_in);
    }
}
