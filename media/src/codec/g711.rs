//! G.711 (ITU-T G.711): tables made at compile time.
//!
//! Bit-exact with the ITU-T Software Tool Library: μ-law reads the upper 14 bits of a sample, A-law the upper 12.

pub(super) static ULAW_TO_LINEAR: [i16; 256] = ulaw_to_linear();
pub(super) static ALAW_TO_LINEAR: [i16; 256] = alaw_to_linear();
pub(super) static LINEAR_TO_ULAW: [u8; 1 << 14] = linear_to_ulaw();
pub(super) static LINEAR_TO_ALAW: [u8; 1 << 12] = linear_to_alaw();

pub(super) static ULAW_TO_ALAW: [u8; 256] = {
    let (expanded, compressed) = (ulaw_to_linear(), linear_to_alaw());
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = compressed[(expanded[octet] as u16 >> 4) as usize];
        octet += 1;
    }
    table
};

pub(super) static ALAW_TO_ULAW: [u8; 256] = {
    let (expanded, compressed) = (alaw_to_linear(), linear_to_ulaw());
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = compressed[(expanded[octet] as u16 >> 2) as usize];
        octet += 1;
    }
    table
};

/// G.711 table 2: sign, three bits of segment, four of step, all inverted; the bias is 33 in 14-bit units.
const fn ulaw_to_linear() -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let code = !(octet as u8);
        let magnitude = ((((code & 0x0F) as i16) << 3) + 0x84) << ((code >> 4) & 7);
        table[octet] = if code & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude };
        octet += 1;
    }
    table
}

/// G.711 table 1: even bits inverted; the first segment has the second's step.
const fn alaw_to_linear() -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let code = octet as u8 ^ 0x55;
        let segment = (code >> 4) & 7;
        let step = (((code & 0x0F) as i16) << 4) + 8;
        let magnitude = if segment == 0 { step } else { (step + 0x100) << (segment - 1) };
        table[octet] = if code & 0x80 == 0 { -magnitude } else { magnitude };
        octet += 1;
    }
    table
}

const fn linear_to_ulaw() -> [u8; 1 << 14] {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < 1 << 14 {
        let negative = index & 0x2000 != 0;
        // One's complement for the negative half, as the STL does: -1 and 0 share a step.
        let inverted = if negative { !index & 0x1FFF } else { index };
        let magnitude = if inverted + 33 > 0x1FFF { 0x1FFF } else { inverted + 33 };
        let segment = (magnitude as u32).ilog2() - 5;
        let step = (magnitude >> (segment + 1)) & 0x0F;
        let code = (segment as u8) << 4 | step as u8;
        table[index] = if negative { !code & 0x7F } else { !code };
        index += 1;
    }
    table
}

const fn linear_to_alaw() -> [u8; 1 << 12] {
    let mut table = [0; 1 << 12];
    let mut index = 0;
    while index < 1 << 12 {
        let negative = index & 0x800 != 0;
        let magnitude = if negative { !index & 0x7FF } else { index };
        let code = if magnitude < 32 {
            magnitude as u8
        } else {
            let segment = (magnitude as u32).ilog2() - 3;
            ((segment as u8) << 4) | ((magnitude >> (segment - 1)) & 0x0F) as u8
        };
        table[index] = if negative { code ^ 0x55 } else { code ^ 0xD5 };
        index += 1;
    }
    table
}
