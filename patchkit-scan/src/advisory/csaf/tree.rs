//! The product tree: which package in which release a product id means.

use std::collections::HashMap;

use patchkit_core::{PackageName, Purl};
use serde::Deserialize;

use std::sync::Arc;

use crate::advisory::{
    platform::{self, Platform},
    rpm::{nevra, stream, without_zero_epoch},
};

/// How many products one may be within another: a package in a module in a repository.
const MAX_NESTING: usize = 4;

#[derive(Default, Deserialize)]
pub(super) struct ProductTree {
    #[serde(default)]
    branches: Vec<Branch>,
    #[serde(default)]
    full_product_names: Vec<Product>,
    #[serde(default)]
    relationships: Vec<Relationship>,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(default)]
    branches: Vec<Branch>,
    #[serde(default)]
    product: Option<Product>,
}

#[derive(Deserialize)]
struct Product {
    product_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    product_identification_helper: Option<Identification>,
}

#[derive(Deserialize)]
struct Identification {
    #[serde(default)]
    cpe: Option<String>,
    #[serde(default)]
    purl: Option<String>,
}

#[derive(Deserialize)]
struct Relationship {
    full_product_name: Product,
    product_reference: String,
    relates_to_product_reference: String,
}

/// A package as a product names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) package: PackageName,
    /// The version with its release, and the epoch where it is not zero.
    pub(super) evr: Option<Arc<str>>,
    pub(super) arch: Option<String>,
    pub(super) module: Option<Arc<str>>,
}

/// The products by their ids.
pub(super) struct Products<'a> {
    products: HashMap<&'a str, &'a Product>,
    related: HashMap<&'a str, &'a Relationship>,
}

impl ProductTree {
    pub(super) fn index(&self) -> Products<'_> {
        let mut products: HashMap<&str, &Product> = HashMap::new();
        let mut open: Vec<&Branch> = self.branches.iter().collect();
        while let Some(branch) = open.pop() {
            open.extend(&branch.branches);
            products.extend(branch.product.iter().map(|product| (product.product_id.as_str(), product)));
        }
        products.extend(self.full_product_names.iter().map(|product| (product.product_id.as_str(), product)));
        let related = self.relationships.iter().map(|related| (related.full_product_name.product_id.as_str(), related));
        Products { products, related: related.collect() }
    }
}

impl Products<'_> {
    /// The release and the package that a product id means; `None` where it is not a package of a distribution's
    /// release: a container image, a program that is sold apart, another product's repository.
    pub(super) fn resolve(&self, id: &str) -> Option<(Platform, Component)> {
        let related = self.related.get(id)?;
        let (platform, module) = self.place(&related.relates_to_product_reference, MAX_NESTING)?;
        let component = self.component(&related.product_reference)?;
        Some((platform, Component { module: component.module.or(module), ..component }))
    }

    /// The release that a product is, and the module that it stands for within it.
    fn place(&self, id: &str, nesting: usize) -> Option<(Platform, Option<Arc<str>>)> {
        if let Some(related) = self.related.get(id) {
            let parent = &related.relates_to_product_reference;
            let (platform, _) = nesting.checked_sub(1).and_then(|nesting| self.place(parent, nesting))?;
            return Some((platform, stream(&related.product_reference)));
        }
        let product = self.products.get(id)?;
        let cpe = product.product_identification_helper.as_ref().and_then(|helper| helper.cpe.as_deref());
        let platform = match cpe {
            Some(cpe) => platform::of_cpe(cpe),
            None => platform::of_name(&product.name),
        };
        Some((platform?, None))
    }

    fn component(&self, id: &str) -> Option<Component> {
        let product = self.products.get(id);
        let helper = product.and_then(|product| product.product_identification_helper.as_ref());
        match helper.and_then(|helper| helper.purl.as_deref()) {
            Some(purl) => of_purl(purl),
            None => of_name(id),
        }
    }
}

/// `pkg:rpm/redhat/nodejs@18.1-1.el9?arch=x86_64&epoch=1&rpmmod=nodejs:18:8090020231128:a75119d5`
fn of_purl(text: &str) -> Option<Component> {
    let purl = text.parse::<Purl>().ok()?.parts();
    if purl.kind != "rpm" {
        return None;
    }
    let qualifier = |key: &str| purl.qualifiers.get(key).map(String::as_str);
    let module = match qualifier("rpmmod") {
        // What is no name and stream is not a module of the distribution: a flatpak's runtime.
        Some(module) => Some(stream(module)?),
        None => None,
    };
    let epoch = qualifier("epoch").filter(|epoch| *epoch != "0");
    let evr = match epoch {
        Some(epoch) => format!("{epoch}:{}", purl.version),
        None => purl.version.clone(),
    };
    let evr = Some(Arc::from(evr)).filter(|_| purl.version.starts_with(|c: char| c.is_ascii_digit()));
    Some(Component { package: purl.name.parse().ok()?, evr, arch: qualifier("arch").map(Into::into), module })
}

/// `bind-9.9.4P2-0.6.1.i586`, `samba`: how SUSE names packages.
fn of_name(id: &str) -> Option<Component> {
    let (name, evr, arch) = match nevra(id) {
        Some(nevra) => (nevra.name, Some(without_zero_epoch(nevra.evr).into()), nevra.arch),
        None => (id, None, None),
    };
    Some(Component { package: name.parse().ok()?, evr, arch: arch.map(Into::into), module: None })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(component: Option<Component>) -> String {
        let Some(Component { package, evr, arch, module }) = component else { return "none".into() };
        let or = |text: Option<&str>| text.unwrap_or("-").to_owned();
        format!("{package} {} {} {}", or(evr.as_deref()), or(arch.as_deref()), or(module.as_deref()))
    }

    #[test]
    fn components_are_packages() {
        for (purl, expected) in [
            ("pkg:rpm/redhat/curl@7.76.1-26.el9?arch=x86_64", "curl 7.76.1-26.el9 x86_64 -"),
            ("pkg:rpm/redhat/openssl@1.1.1k-6.el8?arch=src&epoch=1", "openssl 1:1.1.1k-6.el8 src -"),
            ("pkg:rpm/redhat/samba", "samba - - -"),
            (
                "pkg:rpm/redhat/perl-FCGI@0.78-11.module%2Bel8?arch=src&epoch=1&rpmmod=perl-FCGI:0.78:8060:513b",
                "perl-FCGI 1:0.78-11.module+el8 src perl-FCGI:0.78",
            ),
            ("pkg:rpm/redhat/go-toolset@rhel8?arch=src&rpmmod=go-toolset:rhel8", "go-toolset - src go-toolset:rhel8"),
            ("pkg:rpm/redhat/firefox-flatpak@128.0-1.el10?arch=src&rpmmod=rhel10", "none"),
            ("pkg:oci/openshift3/metrics-cassandra", "none"),
            ("curl", "none"),
        ] {
            assert_eq!(shown(of_purl(purl)), expected, "{purl}");
        }
        assert_eq!(shown(of_name("bind-9.9.4P2-0.6.1.i586")), "bind 9.9.4P2-0.6.1 i586 -");
        assert_eq!(shown(of_name("libdcerpc-binding0-32bit")), "libdcerpc-binding0-32bit - - -");
    }

    #[test]
    fn modules_may_stand_between_package_and_release() {
        let tree: ProductTree = serde_json::from_str(
            r#"{"branches": [{"branches": [
                {"product": {"product_id": "AppStream-8", "name": "x", "product_identification_helper": {"cpe": "cpe:/a:redhat:enterprise_linux:8::appstream"}}},
                {"product": {"product_id": "nodejs:18:809:a7", "name": "x", "product_identification_helper": {"purl": "pkg:rpmmod/redhat/nodejs@18:809:a7"}}},
                {"product": {"product_id": "npm-1:9-1.el8.x86_64", "name": "x", "product_identification_helper": {"purl": "pkg:rpm/redhat/npm@9-1.el8?arch=x86_64&epoch=1"}}}]}],
            "relationships": [
                {"full_product_name": {"product_id": "AppStream-8:nodejs:18:809:a7"}, "product_reference": "nodejs:18:809:a7", "relates_to_product_reference": "AppStream-8"},
                {"full_product_name": {"product_id": "AppStream-8:nodejs:18:809:a7:npm"}, "product_reference": "npm-1:9-1.el8.x86_64", "relates_to_product_reference": "AppStream-8:nodejs:18:809:a7"},
                {"full_product_name": {"product_id": "loop"}, "product_reference": "npm-1:9-1.el8.x86_64", "relates_to_product_reference": "loop"}]}"#,
        )
        .unwrap();
        let products = tree.index();
        let (platform, component) = products.resolve("AppStream-8:nodejs:18:809:a7:npm").unwrap();
        assert_eq!(platform.scope.to_string(), "rhel 8");
        assert_eq!(shown(Some(component)), "npm 1:9-1.el8 x86_64 nodejs:18");
        assert_eq!(products.resolve("loop"), None);
        assert_eq!(products.resolve("nothing"), None);
    }
}
