//! What a scenario's folder says of itself: where it differs from the reference's files, and why.

use crate::scenario::Scenario;

/// The README of a folder.
pub(crate) fn text(scenario: Scenario, rows: u64, published: bool) -> String {
    let data = if published {
        "The data are the scenario's published tables, which are synthetic (CC0-1.0).".to_owned()
    } else {
        format!(
            "The data are made by a seeded generator with the reference's schema: {rows} people who do not exist. The same \
             seed gives the same bytes."
        )
    };
    let rows_of = |rows: &[(&str, &str, &str)]| {
        rows.iter().map(|(what, reference, here)| format!("| {what} | {reference} | {here} |\n")).collect::<String>()
    };
    format!(
        "# {name}\n\n{title}\n\n{data}\n\n\
         ## Where this differs from the reference, and why\n\n\
         The reference's own files are read as they are and refused: `{verdict}`. With that mended, this is what else is \
         another way here.\n\n| what | reference | here |\n|---|---|---|\n{own}{shared}\n\
         ## How it is run\n\n\
         ```sh\ndepa scenario run {name} --dir .                               # train here, outside any room\n\
         depa train local --job job.toml --out model.safetensors    # the same by hand\n```\n\n\
         That is a rehearsal: no room, no guarantee to others. The model comes from the same trainer, noise included, but \
         nobody has attested to anything, no contract was kept and no budget was charged. For the real thing each \
         provider seals its table (`depa dataset seal` with the description that lies here), all sign a contract, and \
         the job's `[training]` goes into the form of `depa job bundle`.\n",
        name = scenario.name(),
        title = scenario.title(),
        verdict = verdict(scenario),
        own = rows_of(own(scenario)),
        shared = rows_of(&SHARED),
    )
}

fn verdict(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Covid | Scenario::CreditRisk | Scenario::Brats => "DELTA_TOO_LARGE",
        Scenario::Mnist | Scenario::Cifar10 => "PRIVACY_CLAUSE_MISSING",
    }
}

const SHARED: [(&str, &str, &str); 5] = [
    (
        "split",
        "`random_state`, `stratify`: a person's part depends on everybody else",
        "a keyed hash of the person and a public salt: nobody moves when somebody leaves; 0.8 trained on, 0.2 held out",
    ),
    ("batches", "fixed batches of a shuffled epoch", "Poisson sampling, divided by a public constant; steps are fixed"),
    ("noise", "seeded by the consumer", "drawn from the run's secret; the consumer's seed makes initial weights only"),
    ("metrics", "exact, with curves and reports", "noised and charged, or none; exact figures only outside a room"),
    (
        "pseudonyms",
        "unsalted hashes of nine digits, all of which can be reversed",
        "the raw key is sealed; none leaves",
    ),
];

fn own(scenario: Scenario) -> &'static [(&'static str, &'static str, &'static str)] {
    match scenario {
        Scenario::Covid => &[
            ("δ", "0.01 in contract and run: above 1/2119", "0.0000472, a tenth of 1/N"),
            ("scaling", "standard scaler fitted on rows", "public bounds of each column, to [−1, 1]"),
            ("missing cells", "filled with 0", "the midpoint of the public bounds"),
            (
                "model",
                "`model.onnx`, 9-128-64-1 (not published)",
                "logistic regression; `{ kind = \"mlp\", hidden = [128, 64] }` works too",
            ),
            ("optimiser", "SGD 0.0001, batch 8, 1 epoch, clip 0.1", "SGD 0.5, expected batch 128, 198 steps, clip 1"),
            (
                "columns",
                "SELECT *, then ten drops of identifiers",
                "only key, target and nine features are sealed at all",
            ),
        ],
        Scenario::CreditRisk => &[
            ("trees", "250 of depth 6", "220 of depth 3, two features each: less is asked of the rows"),
            ("δ", "contract 0.01 (run 0.00001): above 1/7548", "0.00001 in both"),
            (
                "tables",
                "six Parquet files of a contest, not redistributable",
                "six generated CSV files with the same names and columns",
            ),
            (
                "split candidates of trees",
                "taken from rows",
                "drawn from a public seed within public bounds; rows decide the leaves alone",
            ),
            ("missing rows", "dropped after the join", "kept: absent columns count as the midpoint of their bounds"),
            (
                "left joins",
                "not looked at",
                "the five right-hand tables are charged twice (factor 2), so the noise is doubled",
            ),
            ("clauses", "ε 7.5, 7.5, 9, 5, 4.5, 4", "the same; the run asks for 4.0, the least of them"),
        ],
        Scenario::Brats => &[
            ("δ", "contract 0.01, run 0.005: above 1/327", "0.0003"),
            (
                "union",
                "equal names hide each other",
                "a person is called `<table>/<folder>`; who stands in two tables has a row in none (factor 1)",
            ),
            (
                "pictures",
                "240 × 240 slices, binarised in input and mask",
                "32 × 32 phantoms, only the mask is cut at a threshold (0.3)",
            ),
            ("empty masks", "left out by looking at them", "kept"),
            (
                "model",
                "UNet of four halvings, GroupNorm",
                "UNet of two halvings, GroupNorm: fewer weights, less noise in all",
            ),
            ("loss", "dice with a second sigmoid + 2 · L1", "dice on the network's own sigmoid + 2 · L1"),
            (
                "optimiser",
                "Adam 0.0001 with CyclicLR to 0.01, batch 8, 1 epoch",
                "Adam 0.002, expected batch 32, 80 steps",
            ),
        ],
        Scenario::Mnist => &[
            ("privacy", "none: no clause, `is_private` false", "ε 4, δ 0.0000016, DP-SGD"),
            ("pictures", "60,000 handwritten digits", "digits drawn by strokes with a hand's jitter, 4,000 of them"),
            (
                "model",
                "`model.onnx`, CNN 32-64-128-10 (not published)",
                "CNN 16-32-32-10 with tanh: fewer weights drown less in noise",
            ),
            ("loss", "focal loss, γ 2", "cross-entropy"),
            (
                "optimiser",
                "Adam 0.0001 with CyclicLR to 0.01, batch 16, 1 epoch",
                "Adam 0.008, expected batch 256, 200 steps",
            ),
            ("container", "HDF5", "a folder of PNG files with an index"),
        ],
        Scenario::Cifar10 => &[
            ("privacy", "none: no clause, `is_private` false", "ε 4, δ 0.000002, DP-SGD"),
            ("pictures", "50,000 photographs", "shapes and textures in random colours, 10,000 of them"),
            ("normalisation", "mean and deviation of another data set", "public bounds 0 to 255, to [−1, 1]"),
            ("model", "6-16-120-84-10 with max pooling", "16-32-32-10 with strides and tanh"),
            ("optimiser", "Adam 0.0001, batch 16, 2 epochs", "Adam 0.01, expected batch 1,024, 200 steps"),
            ("container", "safetensors", "a folder of PNG files with an index"),
        ],
    }
}
