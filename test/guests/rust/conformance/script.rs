//! The script: sections named as callbacks, statements of words. test/conformance/README.md has the language.

use super::words::{escape, pairs_bytes, show, show_pairs, words, unescape};
use std::collections::BTreeMap;

pub struct Script {
    sections: BTreeMap<String, Vec<String>>,
}

impl Script {
    /// Statements are separated by `;` or line ends; one that ends with `:` begins a section.
    pub fn parse(text: &str) -> Script {
        let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut current = String::new();
        for statement in text.split([';', '\n']).map(str::trim).filter(|statement| !statement.is_empty()) {
            if let Some(name) = statement.strip_suffix(':') {
                current = name.to_string();
                sections.entry(current.clone()).or_default();
            } else {
                sections.entry(current.clone()).or_default().push(statement.to_string());
            }
        }
        Script { sections }
    }

    /// `name#N` for the Nth call, else `name$` at the end of the stream, else `name`.
    pub fn section(&self, name: &str, nth: u32, at_end: bool) -> Vec<String> {
        let numbered = self.sections.get(&format!("{name}#{nth}"));
        let last = if at_end { self.sections.get(&format!("{name}$")) } else { None };
        numbered.or(last).or_else(|| self.sections.get(name)).cloned().unwrap_or_default()
    }

    /// The value of a statement `key value` before the first section.
    pub fn setting(&self, key: &str) -> Option<&str> {
        let head = self.sections.get("")?;
        head.iter().find_map(|statement| match statement.strip_prefix(key)? {
            "" => Some(""),
            rest => rest.strip_prefix(' '),
        })
    }
}

/// Numbers that a script can name: `$self`, `$root`, `$token`, and those that it stored.
pub type Variables = BTreeMap<String, u64>;

/// Where a result goes, and how it is shown.
enum Out {
    Number32(Box<u32>),
    Number64(Box<u64>),
    Stored(Box<u32>, String),
    Time(Box<u64>),
    Bytes(Box<[u32; 2]>),
    Pairs(Box<[u32; 2]>),
    Space(Vec<u8>),
    Random(Vec<u8>),
}

/// A call of a host function: the statement's words become arguments.
pub fn call(statement: &str, variables: &mut Variables, run: impl Fn(&str, &[u64]) -> Option<u32>) -> String {
    let words = words(statement);
    let mut arguments: Vec<u64> = Vec::new();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut outs: Vec<Out> = Vec::new();
    for word in &words[1..] {
        if let Some(kind) = word.strip_prefix('>') {
            outs.push(out(kind, &mut arguments));
            continue;
        }
        let bytes = match word.as_bytes()[0] {
            b'"' => unescape(word.trim_matches('"')),
            b'{' => pairs_bytes(&word[1..word.len() - 1]),
            b'[' => word[1..word.len() - 1].split('.').map(unescape).collect::<Vec<_>>().join(&0u8),
            b'~' => iovec(&word[1..], &mut kept),
            b'$' => {
                arguments.push(variables.get(&word[1..]).copied().unwrap_or(0));
                continue;
            }
            _ => {
                arguments.push(number(word));
                continue;
            }
        };
        arguments.push(bytes.as_ptr() as u64);
        arguments.push(if word.starts_with('~') { 1 } else { bytes.len() as u64 });
        kept.push(bytes);
    }
    let Some(status) = run(&words[0], &arguments) else {
        return "no such function".to_string();
    };
    let mut text = status.to_string();
    for one in outs {
        let shown = show_out(one, status, variables);
        if !shown.is_empty() {
            text.push(' ');
            text.push_str(&shown);
        }
    }
    text
}

fn out(kind: &str, arguments: &mut Vec<u64>) -> Out {
    let (name, rest) = kind.split_once(':').unwrap_or((kind, ""));
    match name {
        "u64" => {
            let slot = Box::new(0u64);
            arguments.push(&*slot as *const u64 as u64);
            Out::Number64(slot)
        }
        "time" => {
            let slot = Box::new(0u64);
            arguments.push(&*slot as *const u64 as u64);
            Out::Time(slot)
        }
        "id" => {
            let slot = Box::new(0u32);
            arguments.push(&*slot as *const u32 as u64);
            Out::Stored(slot, rest.to_string())
        }
        "bytes" | "pairs" => {
            let slot = Box::new([0u32; 2]);
            arguments.push(&slot[0] as *const u32 as u64);
            arguments.push(&slot[1] as *const u32 as u64);
            if name == "bytes" { Out::Bytes(slot) } else { Out::Pairs(slot) }
        }
        "space" => {
            let space = vec![0u8; rest.parse().unwrap_or(64)];
            arguments.push(space.as_ptr() as u64);
            Out::Space(space)
        }
        "random" => {
            let space = vec![0u8; rest.parse().unwrap_or(16)];
            arguments.push(space.as_ptr() as u64);
            arguments.push(space.len() as u64);
            Out::Random(space)
        }
        _ => {
            let slot = Box::new(0u32);
            arguments.push(&*slot as *const u32 as u64);
            Out::Number32(slot)
        }
    }
}

/// Results are shown when the call was Ok; ids only as being there.
fn show_out(one: Out, status: u32, variables: &mut Variables) -> String {
    if let Out::Stored(slot, name) = &one {
        let value = **unsafe { &*std::hint::black_box(slot as *const Box<u32>) };
        variables.insert(name.clone(), u64::from(value));
        return if status == 0 && value != 0 { format!("{name}=set") } else { String::new() };
    }
    if status != 0 {
        return String::new();
    }
    match std::hint::black_box(one) {
        Out::Number32(slot) => read(&*slot).to_string(),
        Out::Number64(slot) => read(&*slot).to_string(),
        Out::Time(slot) => if read(&*slot) > 1_600_000_000_000_000_000 { "now" } else { "other" }.to_string(),
        Out::Bytes(slot) => show(&super::host::owned(read(&slot[0]), read(&slot[1]))),
        Out::Pairs(slot) => show_pairs(&super::host::owned(read(&slot[0]), read(&slot[1]))),
        Out::Space(space) => show(&space),
        Out::Random(space) => if space.iter().any(|byte| *byte != 0) { "filled" } else { "zeros" }.to_string(),
        Out::Stored(..) => String::new(),
    }
}

/// The host wrote it behind the compiler's back.
fn read<T: Copy>(slot: &T) -> T {
    unsafe { std::ptr::read_volatile(slot) }
}

fn iovec(text: &str, kept: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let data = unescape(text.trim_matches('"'));
    let mut bytes = (data.as_ptr() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
    kept.push(data);
    bytes
}

pub fn number(word: &str) -> u64 {
    if let Some(hex) = word.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).unwrap_or(0);
    }
    word.parse::<i64>().unwrap_or(0) as u64
}

/// A statement as it is logged.
pub fn shown(statement: &str) -> String {
    escape(statement.as_bytes())
}
