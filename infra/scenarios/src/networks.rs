//! The networks of the picture scenarios, as a job's form writes them: every layer keeps samples apart.

/// A convolutional classifier: two convolutions, two linear layers, tanh between (bounded activations suffer less from
/// clipping). Small on purpose: noise grows with the number of weights.
pub(crate) fn classifier((channels, side): (u32, usize), classes: usize) -> String {
    // Two halvings by convolutions of stride 2 without padding.
    let half = |side: usize| (side - 5) / 2 + 1;
    let flat = 32 * half(half(side)) * half(half(side));
    let layers = [
        conv(channels, 16, 5, 2, 0),
        op("tanh"),
        conv(16, 32, 5, 2, 0),
        op("tanh"),
        op("flatten"),
        linear(flat, 32),
        op("tanh"),
        linear(32, classes),
    ];
    let loss = format!("{{ kind = \"cross_entropy\", classes = {classes} }}");
    network(channels, side, &layers) + &recipe(&loss)
}

/// A UNet of two halvings with group normalisation; it ends in a sigmoid, as the reference's does.
pub(crate) fn unet(side: usize) -> String {
    let block = |from: u32, to: u32| {
        [conv(from, to, 3, 1, 1), norm(to), leaky()].concat() + &[conv(to, to, 3, 1, 1), norm(to), leaky()].concat()
    };
    let pool = "  { op = \"max_pool\", kernel = 2, stride = 2 },\n";
    let up = "  { op = \"upsample\", factor = 2, mode = \"bilinear\" },\n";
    let skip = |body: String| format!("  {{ op = \"skip\", input_first = false, body = [\n{body}  ] }},\n");
    let bottom =
        skip([pool.to_owned(), block(16, 32), up.to_owned(), conv(32, 16, 3, 1, 1), norm(16), leaky()].concat());
    let middle = skip(
        [pool.to_owned(), block(8, 16), bottom, block(32, 16), up.to_owned(), conv(16, 8, 3, 1, 1), norm(8), leaky()]
            .concat(),
    );
    let layers = [conv(1, 8, 3, 1, 1), norm(8), leaky(), middle, block(16, 8), conv(8, 1, 3, 1, 1), op("sigmoid")];
    let loss = "{ kind = \"sum\", terms = [\n  \
                { weight = \"1\", loss = { kind = \"dice\", sigmoid = false, squared = true } },\n  \
                { weight = \"2\", loss = { kind = \"mean_absolute_error\" } },\n] }";
    network(1, side, &layers) + &recipe(loss)
}

fn network(channels: u32, side: usize, layers: &[String]) -> String {
    format!(
        "[training.model]\nkind = \"network\"\n\n[training.model.network]\n\
         input = {{ kind = \"image\", channels = {channels}, height = {side}, width = {side} }}\nlayers = [\n{}]\n\n",
        layers.concat()
    )
}

fn recipe(loss: &str) -> String {
    format!(
        "[training.recipe]\nloss = {loss}\n\
         optimizer = {{ kind = \"adam\", beta1 = \"0.9\", beta2 = \"0.999\", epsilon = \"0.00000001\", weight_decay = \"0\" }}\n\
         schedule = {{ kind = \"constant\" }}\n"
    )
}

fn op(name: &str) -> String {
    format!("  {{ op = \"{name}\" }},\n")
}

fn leaky() -> String {
    "  { op = \"leaky_relu\", slope = \"0.1\" },\n".into()
}

fn norm(channels: u32) -> String {
    format!("  {{ op = \"group_norm\", groups = 1, channels = {channels} }},\n")
}

fn conv(from: u32, to: u32, kernel: u32, stride: u32, padding: u32) -> String {
    format!(
        "  {{ op = \"conv2d\", channels_in = {from}, channels_out = {to}, kernel = {kernel}, stride = {stride}, \
         padding = {padding}, bias = true }},\n"
    )
}

fn linear(inputs: usize, outputs: usize) -> String {
    format!("  {{ op = \"linear\", inputs = {inputs}, outputs = {outputs}, bias = true }},\n")
}
