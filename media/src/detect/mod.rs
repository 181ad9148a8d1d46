//! Listening to what a far end says, as values that are told ten milliseconds at a time: is it speech ([`voice`]), is it a
//! machine ([`machine`]), is it a beep ([`beep`]), is it a key ([`keys`])?

pub mod beep;
pub mod keys;
pub mod machine;
pub mod voice;
