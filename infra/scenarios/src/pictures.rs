//! The scenarios whose data are pictures: BraTS, MNIST and CIFAR-10.

use schemas::R;

use crate::describe::{Description, Kind};
use crate::folder::{Content, File};
use crate::picture::Picture;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::table::Table;
use crate::tables::{rate, sources_of};
use crate::{digits, networks, phantom, textures};

/// Side of a generated slice: a multiple of 16, for the reference's four halvings.
pub const SLICE: usize = 32;
/// The providers of slices, by their handles.
const SETS: [&str; 4] = ["brats_a", "brats_b", "brats_c", "brats_d"];

/// Digits.
pub(crate) fn mnist(rows: u64, seed: u64) -> R<Content> {
    let mut random = Random::new(seed, "mnist");
    let classes: Vec<String> = (0..digits::CLASSES).map(|class| class.to_string()).collect();
    let names: Vec<&str> = classes.iter().map(String::as_str).collect();
    classified(Scenario::Mnist, rows, "digits", &names, |class| digits::digit(class, &mut random))
}

/// Textures and shapes.
pub(crate) fn cifar10(rows: u64, seed: u64) -> R<Content> {
    let mut random = Random::new(seed, "cifar10");
    classified(Scenario::Cifar10, rows, "pictures", &textures::CLASSES, |class| textures::texture(class, &mut random))
}

/// One table of pictures with a class each, as many of one class as of another.
fn classified(
    scenario: Scenario,
    rows: u64,
    name: &'static str,
    classes: &[&str],
    mut draw: impl FnMut(usize) -> Picture,
) -> R<Content> {
    // Chosen on pictures of other seeds than those shipped. Form without colour is hard to see under noise: more pictures,
    // and more of them at a time.
    let (picture, figures) = match scenario {
        Scenario::Mnist => ((1, digits::SIDE), (256.0, 200, "0.008")),
        _ => ((3, textures::SIDE), (1_024.0, 200, "0.01")),
    };
    let mut index = Table::new(&["id", "file", "label"]);
    let mut files = Vec::new();
    for place in 0..rows {
        let class = (place % classes.len() as u64) as usize;
        let path = format!("images/{:03}/{place:07}.png", place / 1_000);
        index.rows.push(vec![format!("{place:07}"), path.clone(), (*classes.get(class).unwrap_or(&"")).to_owned()]);
        files.push((format!("data/{name}/{path}"), draw(class).png()?));
    }
    files.push((format!("data/{name}/index.csv"), index.csv()?));
    let description = Description {
        name: format!("{name} with a class each"),
        columns: vec![("id", Kind::Text), ("image", Kind::Image), ("label", Kind::Text)],
        key: "id",
        target: Some("label"),
        rows,
        epsilon: scenario.epsilon().into(),
        delta: scenario.delta(rows),
        about: format!("{name}, one per person"),
    };
    let labels = format!("[training.labels]\nkind = \"classes\"\nclasses = {classes:?}\n\n");
    let job = [
        format!("# A convolutional network on the pictures of one provider.\nsql = \"SELECT * FROM {name}\"\n\n"),
        sources_of(&[(name, name)]),
        training(scenario, rows, name, "label", figures),
        form(name, "image", picture),
        labels,
        networks::classifier(picture, classes.len()),
    ]
    .concat();
    Ok(Content { rows, descriptions: vec![(name.to_owned(), description)], job, files })
}

/// Slices of four providers: a folder per person with all modalities and the mask, and an index of what is trained on.
pub(crate) fn brats(rows: u64, seed: u64) -> R<Content> {
    let mut random = Random::new(seed, "brats");
    let mut content = Content { rows, descriptions: Vec::new(), job: String::new(), files: Vec::new() };
    let mut person = 0;
    for (place, set) in SETS.into_iter().enumerate() {
        let mut index = Table::new(&["id", "flair_file", "seg_file"]);
        let people = rows / 4 + u64::from((place as u64) < rows % 4);
        for _ in 0..people {
            person += 1;
            let id = format!("BraTS20_Training_{person:03}");
            index.rows.push(vec![id.clone(), format!("{id}/{id}_flair.png"), format!("{id}/{id}_seg.png")]);
            content.files.extend(slices(set, &id, &mut random)?);
        }
        content.files.push((format!("data/{set}/index.csv"), index.csv()?));
        let description = Description {
            name: format!("slices of {set}"),
            columns: vec![("id", Kind::Text), ("flair", Kind::Image), ("seg", Kind::Image)],
            key: "id",
            target: Some("seg"),
            rows: people,
            epsilon: Scenario::Brats.epsilon().into(),
            delta: Scenario::Brats.delta(rows),
            about: "a slice of a brain and the mask of its tumour, per person".into(),
        };
        content.descriptions.push((set.to_owned(), description));
    }
    let files = SETS.map(|set| (set, set));
    let mask =
        format!("[training.labels]\nkind = \"mask\"\nheight = {SLICE}\nwidth = {SLICE}\nthreshold_ppm = 300000\n\n");
    content.job = [
        format!("# A UNet on slices of four providers, whose rows stand one below the other.\nunion = {SETS:?}\n\n"),
        sources_of(&files),
        training(Scenario::Brats, rows, SETS[0], "seg", (32.0, 80, "0.002")),
        form(SETS[0], "flair", (1, SLICE)),
        mask,
        networks::unet(SLICE),
    ]
    .concat();
    Ok(content)
}

/// The figures of a training on pictures; expected batch, steps and learning rate come with it.
fn training(
    scenario: Scenario,
    rows: u64,
    table: &str,
    target: &str,
    (batch, steps, learning_rate): (f64, u32, &str),
) -> String {
    format!(
        "[training]\ntarget = \"{table}.{target}\"\nprincipal = \"{table}.id\"\nepsilon = \"{}\"\ndelta = \"{}\"\n\
         steps = {steps}\nsample_rate = \"{}\"\nclipping_norm = \"1.0\"\nlearning_rate = \"{learning_rate}\"\ntrain_ppm = 800000\n\n",
        scenario.epsilon(),
        scenario.delta(rows),
        rate(batch, rows),
    )
}

/// What the cells of a column of pictures hold.
fn form(table: &str, column: &str, (channels, side): (u32, usize)) -> String {
    format!(
        "[training.forms.\"{table}.{column}\"]\nkind = \"image\"\nchannels = {channels}\nheight = {side}\nwidth = {side}\n\n"
    )
}

fn slices(set: &str, id: &str, random: &mut Random) -> R<Vec<File>> {
    let slice = phantom::slice(SLICE, random);
    let pictures = phantom::MODALITIES.into_iter().zip(&slice.modalities).chain([("seg", &slice.mask)]);
    pictures.map(|(kind, picture)| Ok((format!("data/{set}/{id}/{id}_{kind}.png"), picture.png()?))).collect()
}
