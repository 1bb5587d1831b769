//! Numbers and content that look like chance and are the same every time.

/// A generator of numbers (splitmix64): one seed, one sequence.
///
/// ```
/// use dr_benches::dice::Dice;
/// assert_eq!(Dice::new(7).next(), Dice::new(7).next());
/// ```
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// What texts are made of.
const WORDS: [&str; 48] = [
    "the",
    "and",
    "of",
    "to",
    "website",
    "margin",
    "padding",
    "<div class=\"",
    "\">",
    "</div>\n",
    "<p>",
    "</p>\n",
    "function",
    "return",
    "this.",
    "const ",
    " = ",
    ";\n",
    "{\n",
    "}\n",
    "color:",
    "#fff",
    "<a href=\"/",
    "<li>",
    "</li>\n",
    "article",
    "product",
    "price",
    "image",
    "width:",
    "100%",
    "if (",
    ") ",
    "null",
    "order",
    "customer",
    "<?php ",
    "?>",
    "echo ",
    "$post",
    "content",
    "title",
    "header",
    "footer",
    "menu",
    "a",
    "in",
    "is",
];

impl Dice {
    /// With this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Between 0 and 1, neither included.
    pub fn fraction(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// From a normal distribution with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.fraction().ln()).sqrt() * (std::f64::consts::TAU * self.fraction()).cos()
    }

    /// Appends `length` bytes that no program can compress.
    pub fn noise(&mut self, length: usize, out: &mut Vec<u8>) {
        let end = out.len() + length;
        while out.len() < end {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(end);
    }

    /// Appends `length` bytes of something like source text.
    pub fn text(&mut self, length: usize, out: &mut Vec<u8>) {
        let end = out.len() + length;
        while out.len() < end {
            let mut picks = self.next();
            for _ in 0..8 {
                let word = WORDS[(picks & 0x3f) as usize % WORDS.len()];
                out.extend_from_slice(word.as_bytes());
                out.push(b' ');
                picks >>= 6;
            }
            out.extend_from_slice(format!("{:x}\n", picks & 0xffff).as_bytes());
        }
        out.truncate(end);
    }
}
