//! `META-INF/MANIFEST.MF`: sections of attributes.
//!
//! Source: the JAR file specification, "JAR Manifest". Lines of another form are passed over.

/// A manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The attributes of the main section, then those of the others.
    sections: Vec<Vec<(String, String)>>,
}

/// The most sections that are looked at: a signed archive has one for each file.
const MAX_SECTIONS: usize = 4096;

impl Manifest {
    /// Reads a manifest.
    pub(super) fn parse(text: &str) -> Self {
        let mut sections: Vec<Vec<(String, String)>> = Vec::new();
        let mut is_new = true;
        for line in text.lines() {
            if line.is_empty() {
                is_new = true;
                continue;
            }
            if let Some(more) = line.strip_prefix(' ') {
                if !is_new && let Some((_, value)) = sections.last_mut().and_then(|section| section.last_mut()) {
                    value.push_str(more.trim());
                }
                continue;
            }
            let Some((key, value)) = line.split_once(':').filter(|(key, _)| !key.trim().is_empty()) else { continue };
            if is_new {
                if sections.len() == MAX_SECTIONS {
                    break;
                }
                sections.push(Vec::new());
                is_new = false;
            }
            let attribute = (key.trim().to_owned(), value.trim().to_owned());
            sections.last_mut().expect("one was just begun").push(attribute);
        }
        Self { sections }
    }

    /// An attribute of the main section, where it is there and not empty.
    pub(super) fn main(&self, key: &str) -> Option<&str> {
        value(self.sections.first()?, key)
    }

    /// An attribute of the main section or, failing that, of the first other that has it.
    pub(super) fn any(&self, key: &str) -> Option<&str> {
        self.sections.iter().find_map(|section| value(section, key))
    }

    /// An attribute, section by section.
    pub(super) fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.sections.iter().filter_map(move |section| value(section, key))
    }
}

fn value<'a>(section: &'a [(String, String)], key: &str) -> Option<&'a str> {
    let found = section.iter().find(|(name, _)| name == key);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continued_lines_and_sections() {
        let text = "Manifest-Version: 1.0\r\nBundle-Name: Apache Comm\r\n ons\r\nEmpty:\r\nno attribute\r\n\r\n\r\n \
                    stray\r\nName: a/b\r\nImplementation-Version: 2\r\n\r\nName: c\r\nImplementation-Version: 3\r\n";
        let manifest = Manifest::parse(text);
        assert_eq!(manifest.main("Bundle-Name"), Some("Apache Commons"));
        assert_eq!(manifest.main("Empty"), None);
        assert_eq!(manifest.main("Implementation-Version"), None);
        assert_eq!(manifest.any("Implementation-Version"), Some("2"));
        assert_eq!(manifest.values("Implementation-Version").count(), 2);
    }

    #[test]
    fn what_is_no_manifest_has_no_attributes() {
        assert_eq!(Manifest::parse("\n\n : x\n: y\n z"), Manifest::default());
        assert_eq!(Manifest::parse(&"A: 1\n\n".repeat(MAX_SECTIONS + 9)).sections.len(), MAX_SECTIONS);
    }
}
