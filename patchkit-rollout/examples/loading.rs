//! What is loaded with every program and library of an image, found out with nothing executed.
//!
//! `loading ROOT.tar [LEVEL...]`: the image is an archive of a root folder; the levels are those of the processor, the
//! best first (`x86-64-v3`). One line each, with tabs: `load FILE BY NAME PATH|-`, `undefined FILE BY SYMBOL[@VERSION]`,
//! `version FILE BY VERSION LIBRARY`, `interpreter FILE NAME`, `damaged FILE REASON`, `note TEXT`.

use std::{error::Error, time::Instant};

use patchkit_core::{Blob, Context, Digest, Image, Layer, MediaType};
use patchkit_rollout::verify::loading::{Layers, Linkage, LoadOptions, Problem};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let archive = arguments.next().ok_or("usage: loading ROOT.tar [LEVEL...]")?;
    let options = arguments.fold(LoadOptions::default(), LoadOptions::with_level);
    let bytes = std::fs::read(archive)?;
    let diff_id = Digest::of(&bytes);
    let layer = Layer::new(Blob::of(MediaType::OCI_LAYER, bytes), diff_id);
    let image = Image::of_layers(&"linux/amd64".parse()?, vec![layer])?;

    let start = Instant::now();
    let linkage = Linkage::read(&image, &mut Layers::default(), &options, &Context::new()).await?;
    let taken = start.elapsed();
    print(&linkage);
    let (programs, libraries) = (linkage.programs().count(), linkage.libraries().count());
    eprintln!("{programs} programs and {libraries} libraries in {:.2} s", taken.as_secs_f64());
    Ok(())
}

fn print(linkage: &Linkage) {
    for root in linkage.programs().chain(linkage.libraries()) {
        for load in linkage.loaded(root) {
            println!("load\t{root}\t{}\t{}\t{}", load.by, load.name, load.path.unwrap_or("-"));
        }
    }
    for fault in linkage.faults() {
        for root in fault.programs.iter().chain(&fault.libraries) {
            match &fault.problem {
                Problem::Damaged { reason } => println!("damaged\t{root}\t{reason}"),
                Problem::Interpreter { interpreter } => println!("interpreter\t{root}\t{interpreter}"),
                Problem::Library { .. } => {}
                Problem::Symbol { symbol, version, .. } => {
                    let version = version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
                    println!("undefined\t{root}\t{}\t{symbol}{version}", fault.file);
                }
                Problem::Version { library, version } => {
                    println!("version\t{root}\t{}\t{version}\t{library}", fault.file);
                }
            }
        }
    }
    linkage.notes().iter().for_each(|note| println!("note\t{note}"));
}
