//! The demo bundle that comes with the program: `models/demo`, embedded.

/// What it is called.
pub const NAME: &str = "demo (embedded)";

macro_rules! file {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../models/demo/", $name)) as &[u8],
        )
    };
}

/// Its files, by name.
pub const FILES: [(&str, &[u8]); 9] = [
    file!("config.json"),
    file!("jang_config.json"),
    file!("generation_config.json"),
    file!("tokenizer.json"),
    file!("tokenizer_config.json"),
    file!("chat_template.jinja"),
    file!("model.safetensors.index.json"),
    file!("model-00001-of-00001.safetensors"),
    file!("jangtq_runtime.safetensors"),
];
