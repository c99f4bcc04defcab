//! The list of packages that distroless images of Azure Linux have in place of a database:
//! `var/lib/rpmmanifest/container-manifest-2`.
//!
//! Its lines are what `rpm -qa` writes with the format `%{NAME}\t%{VERSION}-%{RELEASE}\t%{INSTALLTIME}\t%{BUILDTIME}\t`
//! `%{VENDOR}\t%{EPOCH}\t%{SIZE}\t%{ARCH}\t%{EPOCHNUM}\t%{SOURCERPM}`; what a package does not have is `(none)`.

use super::{DatabaseError, package::InstalledPackage};

const NONE: &str = "(none)";

/// The packages, in the order of the file. Empty lines are passed over.
///
/// # Errors
/// [`DatabaseError`] with the line that does not have these ten fields, or that is not UTF-8, or does not end.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<InstalledPackage<'_>>, DatabaseError> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate().filter(|(_, line)| *line != b"\n");
    lines.map(|(n, line)| package(line).map_err(|problem| DatabaseError::at("line", n as u64 + 1, problem))).collect()
}

fn package(line: &[u8]) -> Result<InstalledPackage<'_>, &'static str> {
    let line = line.strip_suffix(b"\n").ok_or("the file is cut off here")?;
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let fields: Vec<_> = line.split('\t').collect();
    let [name, version, _, _, _, epoch, _, architecture, _, source] = fields[..] else {
        return Err("it does not have ten fields");
    };
    let known = |field| Some(field).filter(|field: &&str| !field.is_empty() && *field != NONE);
    let epoch = known(epoch).map(str::parse).transpose().map_err(|_| "the epoch is no number")?;
    Ok(InstalledPackage {
        name: known(name).ok_or("a package without a name")?,
        epoch,
        version: known(version).ok_or("a package without a version")?.to_owned(),
        architecture: known(architecture),
        source: known(source),
        module: None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_packages() {
        let text = b"filesystem\t1.1-9.cm2\t1\t2\tMicrosoft Corporation\t(none)\t7596\tx86_64\t0\tfilesystem-1.1-9.cm2.src.rpm\n\
            vim\t9.0-1.cm2\t1\t2\t(none)\t2\t45000\tnoarch\t2\t(none)\n";
        let packages = read(text).unwrap();
        assert_eq!(
            (packages[0].name, packages[0].epoch, packages[0].architecture),
            ("filesystem", None, Some("x86_64"))
        );
        assert_eq!(packages[0].source_package().unwrap(), ("filesystem", "1.1-9.cm2".to_owned()));
        assert_eq!((packages[1].full_version().as_str(), packages[1].source), ("2:9.0-1.cm2", None));
        assert_eq!((read(b""), read(b"\n")), (Ok(vec![]), Ok(vec![])));
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let line = "a\t1-1\t1\t2\tv\t(none)\t7\tnoarch\t0\ta-1-1.src.rpm\n";
        for (bad, expected) in [
            ("bogus", "line 2: the file is cut off here"),
            ("bogus\n", "line 2: it does not have ten fields"),
            ("\t1-1\t1\t2\tv\t(none)\t7\tnoarch\t0\ta\n", "line 2: a package without a name"),
            ("a\t1-1\t1\t2\tv\tone\t7\tnoarch\t0\ta\n", "line 2: the epoch is no number"),
        ] {
            assert_eq!(read(format!("{line}{bad}").as_bytes()).unwrap_err().to_string(), expected);
        }
    }
}
