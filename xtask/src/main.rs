mod oracle;

fn main() {}
