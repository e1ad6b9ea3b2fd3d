//! Recognises and produces zeroes.

use std::ops::Range;

/// The grain at which zeroes are recognised, and that of most file systems.
const BLOCK_BYTES: usize = 4096;

/// Zeroes to compare with and to write.
pub(crate) static ZEROES: [u8; 256 * 1024] = [0; 256 * 1024];

/// Returns the runs of 4 KiB blocks of `buf` that are not all zero.
pub(crate) fn data_runs(buf: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for block in buf.chunks(BLOCK_BYTES) {
        let end = start + block.len();
        if block != &ZEROES[..block.len()] {
            match runs.last_mut() {
                Some(run) if run.end == start => run.end = end,
                _ => runs.push(start..end),
            }
        }
        start = end;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_whole_blocks() {
        type Case = (&'static str, usize, Vec<usize>, Vec<(usize, usize)>);
        let cases: [Case; 6] = [
            ("nothing", 0, vec![], vec![]),
            ("all zero", 9000, vec![], vec![]),
            (
                "first and last byte of a block",
                12288,
                vec![0, 4095],
                vec![(0, 4096)],
            ),
            ("two in a row", 12288, vec![4096, 8192], vec![(4096, 12288)]),
            (
                "two apart",
                12288,
                vec![0, 8192],
                vec![(0, 4096), (8192, 12288)],
            ),
            ("a short tail", 8200, vec![8199], vec![(8192, 8200)]),
        ];
        for (what, size, ones, want) in cases {
            let mut buf = vec![0; size];
            ones.iter().for_each(|&at| buf[at] = 1);
            let got: Vec<_> = data_runs(&buf)
                .into_iter()
                .map(|r| (r.start, r.end))
                .collect();
            assert_eq!(got, want, "{what}");
        }
    }
}
