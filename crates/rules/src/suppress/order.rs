//! Whether things that need one another can be put in order: nothing needs itself, and no chain is too long. Walks
//! without recursion, since how long chains are is not known before.

use std::sync::Arc;

/// So many steps a chain has at most.
pub(super) const STEPS_AT_MOST: usize = 256;
/// Of a circle, so many are named.
const NAMED_AT_MOST: usize = 16;

/// Why there is no order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// These need each other.
    Circle(String),
    /// A chain that begins here is too long.
    Deep(Arc<str>),
}

#[derive(Clone, Copy)]
enum Mark {
    New,
    /// On the path that is being walked.
    Open,
    /// Walked, with the length of its longest chain.
    Done(usize),
}

/// Looks at each of them; `needs` is which others one needs.
pub(super) fn check(names: &[Arc<str>], needs: &[Vec<usize>]) -> Result<(), Fault> {
    let mut marks = vec![Mark::New; names.len()];
    for start in 0..names.len() {
        if matches!(marks[start], Mark::New) {
            walk(start, names, needs, &mut marks)?;
        }
    }
    Ok(())
}

fn walk(start: usize, names: &[Arc<str>], needs: &[Vec<usize>], marks: &mut [Mark]) -> Result<(), Fault> {
    // Who, which of its needs comes next, and its longest chain so far.
    let mut path = vec![(start, 0, 0)];
    marks[start] = Mark::Open;
    while let Some((at, next, longest)) = path.last_mut() {
        let Some(&needed) = needs[*at].get(*next) else {
            if *longest > STEPS_AT_MOST {
                return Err(Fault::Deep(Arc::clone(&names[*at])));
            }
            marks[*at] = Mark::Done(*longest);
            path.pop();
            continue;
        };
        match marks[needed] {
            Mark::Done(steps) => {
                *longest = (*longest).max(steps + 1);
                *next += 1;
            }
            Mark::Open => return Err(Fault::Circle(circle(&path, needed, names))),
            Mark::New => {
                marks[needed] = Mark::Open;
                path.push((needed, 0, 0));
            }
        }
    }
    Ok(())
}

/// `a → b → a`.
fn circle(path: &[(usize, usize, usize)], first: usize, names: &[Arc<str>]) -> String {
    let members = path.iter().map(|(at, _, _)| *at).skip_while(|at| *at != first);
    let members: Vec<&str> = members.map(|at| &*names[at]).collect();
    let mut text = members.iter().take(NAMED_AT_MOST).copied().collect::<Vec<_>>().join(" → ");
    if members.len() > NAMED_AT_MOST {
        text.push_str(" → …");
    }
    format!("{text} → {}", names[first])
}
