//! JaCoCo's XML. Source: its DTD, `report.dtd` 1.1.

use super::{Branches, Coverage};
use crate::verify::parse::{Element, Fault, Item, Xml, normal_path};

/// Reads the report. A line ran if any of its instructions did: how often is not known.
pub(super) fn read(text: &str) -> Result<Coverage, Fault> {
    let mut xml = Xml::new(text);
    let mut open: Vec<Element> = Vec::new();
    let (mut package, mut path) = (String::new(), String::new());
    let mut coverage = Coverage::default();
    while let Some(item) = xml.next()? {
        let Item::Start(element) = item else {
            if item == Item::End {
                open.pop();
            }
            continue;
        };
        match (open.last().map(|parent| parent.name.as_str()), element.name.as_str()) {
            (None, "report") => {}
            (None, name) => return Err(Fault::at(element.line, format!("<{name}> is no JaCoCo report"))),
            (_, "package") => element.required("name")?.clone_into(&mut package),
            (_, "sourcefile") => path = normal_path(&format!("{package}/{}", element.required("name")?)),
            (Some("sourcefile"), "line") => line(&element, &path, &mut coverage)?,
            _ => {}
        }
        open.push(element);
    }
    Ok(coverage)
}

fn line(element: &Element, path: &str, coverage: &mut Coverage) -> Result<(), Fault> {
    let number = element.number("nr")?;
    let instructions: u64 = element.number("ci")?;
    let missed = element.optional::<u64>("mb")?.unwrap_or_default();
    let covered = element.optional::<u64>("cb")?.unwrap_or_default();
    let file = coverage.file(path);
    file.hit(number, u64::from(instructions > 0));
    if let Some(total) = missed.checked_add(covered).filter(|total| *total > 0) {
        *file.branches.get_or_insert_default() += Branches { covered, total };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_package() {
        let text = "<!DOCTYPE report PUBLIC '-//JACOCO//DTD Report 1.1//EN' 'report.dtd'><report name='x'><group name='g'>\
            <package name='org/shop'><class name='org/shop/Price'/><sourcefile name='Price.java'>\
            <line nr='3' mi='0' ci='4' mb='1' cb='1'/><line nr='5' mi='2' ci='0'/><counter type='LINE' missed='1' covered='1'/>\
            </sourcefile></package></group></report>";
        let coverage = read(text).unwrap();
        assert_eq!(coverage.files["org/shop/Price.java"].lines, [(3, 1), (5, 0)].into());
        assert_eq!(coverage.totals().branches, Some(Branches { covered: 1, total: 2 }));
        assert!(read(&text.replace("nr='5'", "nr=''")).is_err());
    }
}
