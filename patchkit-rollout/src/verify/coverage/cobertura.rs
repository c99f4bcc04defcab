//! Cobertura's XML. Source: its DTD, `coverage-04.dtd`.

use super::{Branches, Coverage};
use crate::verify::parse::{Element, Fault, Item, Xml, normal_path};

/// Reads the report. Paths that start with a root that it names are taken relative to it.
pub(super) fn read(text: &str) -> Result<Coverage, Fault> {
    let mut xml = Xml::new(text);
    let mut reader = Reader::default();
    while let Some(item) = xml.next()? {
        match item {
            Item::Start(element) => reader.start(element)?,
            Item::Text(text) => reader.text(&text),
            Item::End => drop(reader.open.pop()),
        }
    }
    Ok(reader.coverage)
}

#[derive(Default)]
struct Reader {
    open: Vec<Element>,
    roots: Vec<String>,
    /// The file of the open class.
    path: String,
    coverage: Coverage,
}

impl Reader {
    fn start(&mut self, element: Element) -> Result<(), Fault> {
        match (self.open.last().map(|parent| parent.name.as_str()), element.name.as_str()) {
            (None, "coverage") => {}
            (None, name) => return Err(Fault::at(element.line, format!("<{name}> is no coverage report"))),
            (_, "source") => self.roots.push(String::new()),
            (_, "class") => {
                self.path = self.relative(element.required("filename")?);
                self.coverage.file(&self.path);
            }
            // The lines of methods are those of their class once more.
            (Some("lines"), "line") if self.is_of_class() => self.line(&element)?,
            _ => {}
        }
        self.open.push(element);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.open.last().is_some_and(|element| element.name == "source") {
            self.roots.last_mut().expect("the element has put one there").push_str(text.trim());
        }
    }

    fn relative(&self, path: &str) -> String {
        let path = normal_path(path);
        let roots = self.roots.iter().map(|root| normal_path(root)).filter(|root| root.len() > 1);
        let inside = |root: String| path.strip_prefix(&format!("{root}/")).map(str::to_owned);
        roots.filter_map(inside).min_by_key(String::len).unwrap_or(path)
    }

    fn is_of_class(&self) -> bool {
        self.open.len() >= 2 && self.open[self.open.len() - 2].name == "class"
    }

    fn line(&mut self, element: &Element) -> Result<(), Fault> {
        let (number, hits) = (element.number("number")?, element.number("hits")?);
        let branches =
            element.attribute("condition-coverage").map(|text| conditions(text, element.line)).transpose()?;
        let file = self.coverage.file(&self.path);
        file.hit(number, hits);
        if let Some(branches) = branches {
            *file.branches.get_or_insert_default() += branches;
        }
        Ok(())
    }
}

/// `50% (1/2)`
fn conditions(text: &str, line: usize) -> Result<Branches, Fault> {
    let inside = text.split_once('(').and_then(|(_, rest)| rest.split_once(')')?.0.split_once('/'));
    let parsed = inside.and_then(|(covered, total)| Some((covered.trim().parse().ok()?, total.trim().parse().ok()?)));
    let (covered, total) = parsed.ok_or_else(|| Fault::at(line, format!("{text:?} does not count branches")))?;
    Ok(Branches { covered, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_methods_count_once() {
        let text = "<coverage><sources><source>/src</source><source>/src/app</source></sources><packages><package><classes>\
            <class filename='/src/app/a.py'><methods><method><lines><line number='1' hits='1'/></lines></method></methods>\
            <lines><line number='1' hits='1'/><line number='2' hits='0' condition-coverage='50% (1/2)'/></lines></class>\
            </classes></package></packages></coverage>";
        let coverage = read(text).unwrap();
        assert_eq!(coverage.files["a.py"].lines, [(1, 1), (2, 0)].into());
        assert_eq!(coverage.totals().branches, Some(Branches { covered: 1, total: 2 }));
        assert!(read(&text.replace("hits='0'", "hits='x'")).is_err());
        assert!(read("<report/>").is_err());
    }
}
