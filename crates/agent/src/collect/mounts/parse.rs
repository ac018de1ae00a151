//! Which file systems of `/proc/…/mountinfo` are told, and under which of their mount points.

use crate::collect::text::{lines, words};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// File systems that keep files on a disk of this machine. Images that are always full (squashfs, iso9660) are not.
const REAL: [&[u8]; 19] = [
    b"ext2",
    b"ext3",
    b"ext4",
    b"xfs",
    b"btrfs",
    b"zfs",
    b"f2fs",
    b"bcachefs",
    b"jfs",
    b"reiserfs",
    b"nilfs2",
    b"vfat",
    b"exfat",
    b"ntfs",
    b"ntfs3",
    b"fuseblk",
    b"hfsplus",
    b"ocfs2",
    b"gfs2",
];

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is mounted.
    pub(super) point: PathBuf,
    /// Its device, without `/dev/`.
    pub(super) device: String,
    /// The device's number as the kernel writes it: equal for all mounts of one file system.
    number: Vec<u8>,
    /// Whether only a part of the file system is mounted (a bind mount, a subvolume).
    part: bool,
}

/// The file systems worth telling, sorted by mount point; of several mounts of one, the whole before a part, then
/// the shortest. `is_folder` says no to a mount on a single file, as container engines make them.
pub(super) fn parse(text: &[u8], is_folder: impl Fn(&Mount) -> bool) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    let mut overlay = None;
    for line in lines(text) {
        let Some((mount, kind)) = mount(line) else { continue };
        if kind == b"overlay" && mount.point.as_os_str() == "/" {
            overlay = Some(mount);
        } else if REAL.contains(&kind) && is_folder(&mount) {
            match mounts.iter_mut().find(|known| known.number == mount.number) {
                Some(known) if rank(&mount) < rank(known) => *known = mount,
                Some(_) => {}
                None => mounts.push(mount),
            }
        }
    }
    mounts.extend(overlay);
    mounts.sort_by(|a, b| a.point.cmp(&b.point));
    mounts
}

fn rank(mount: &Mount) -> (bool, usize) {
    (mount.part, mount.point.as_os_str().len())
}

/// The mount and the kind of file system of a line: `27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw`.
fn mount(line: &[u8]) -> Option<(Mount, &[u8])> {
    let mut words = words(line).skip(2);
    let number = words.next()?.to_vec();
    let part = words.next()? != b"/";
    let point = PathBuf::from(OsString::from_vec(unescape(words.next()?)));
    let mut words = words.skip_while(|word| *word != b"-").skip(1);
    let kind = words.next()?;
    let device = unescape(words.next()?);
    let device = String::from_utf8_lossy(device.strip_prefix(b"/dev/").unwrap_or(&device)).into_owned();
    Some((Mount { point, device, number, part }, kind))
}

/// Undoes the kernel's `\040` for what would end a word.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| behind.get(..3)).flatten().and_then(octal);
        plain.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &behind[3..] } else { behind };
    }
    plain
}

fn octal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |sum, digit| {
        let digit = matches!(digit, b'0'..=b'7').then(|| digit - b'0')?;
        sum.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(String, String)> {
        let mounts = parse(text.as_bytes(), |mount| !mount.point.starts_with("/etc"));
        mounts.into_iter().map(|m| (m.point.display().to_string(), m.device)).collect()
    }

    #[test]
    fn each_real_file_system_is_told_once() {
        let cases = [
            (
                "a plain machine",
                "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
                 25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw\n\
                 27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n\
                 30 27 254:16 / /mnt/my\\040disk rw shared:2 master:1 - xfs /dev/mapper/vg-data rw\n\
                 31 27 7:1 / /snap/core ro - squashfs /dev/loop1 ro\n\
                 32 27 0:99 / /mnt/nfs rw - nfs4 server:/x rw\n",
                vec![("/", "vda"), ("/mnt/my disk", "mapper/vg-data")],
            ),
            (
                "bind mounts and subvolumes",
                "27 1 0:30 /@ / rw - btrfs /dev/sda2 rw\n\
                 28 27 0:30 /@home /home rw - btrfs /dev/sda2 rw\n\
                 29 27 8:1 /sub /a rw - ext4 /dev/sda1 rw\n\
                 30 27 8:1 / /longer rw - ext4 /dev/sda1 rw\n\
                 31 27 8:1 / /longest/of/all rw - ext4 /dev/sda1 rw\n",
                vec![("/", "sda2"), ("/longer", "sda1")],
            ),
            (
                "a container",
                "600 500 0:80 / / rw - overlay overlay rw,lowerdir=/x\n\
                 601 600 8:1 /docker/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
                 602 600 8:1 /kubelet/empty /data rw - ext4 /dev/sda1 rw\n\
                 603 600 0:81 / /var/lib/docker/overlay2/x rw - overlay overlay rw\n",
                vec![("/", "overlay"), ("/data", "sda1")],
            ),
            ("garbage", "1 2\n\n- - - -\n27 1 254:0 / / rw\n", vec![]),
        ];
        for (name, text, expected) in cases {
            let expected: Vec<_> = expected.into_iter().map(|(p, d)| (p.to_owned(), d.to_owned())).collect();
            assert_eq!(told(text), expected, "{name}");
        }
    }

    #[test]
    fn only_the_kernels_own_escapes_are_undone() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"/a\\040b", b"/a b"),
            (b"/a\\134040", b"/a\\040"),
            (b"/a\\9", b"/a\\9"),
            (b"\\777", b"\\777"),
            (b"/a\\", b"/a\\"),
        ];
        for (word, expected) in cases {
            assert_eq!(unescape(word), expected, "{}", String::from_utf8_lossy(word));
        }
    }
}
