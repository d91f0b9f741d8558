//! One block of Markdown as rows: a walk over the parser's events, with the containers
//! (quotes, list items) that are open, each of which puts something before its rows.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::code;
use super::containers::Containers;
use crate::sandbox::sanitize;
use crate::tui::text::highlight::{Code, Highlighter, Last};
use crate::tui::text::table::Table;
use crate::tui::text::{Row, fit};
use crate::tui::theme::{Role, Theme};

/// Widest lines of running text: longer ones are hard to read.
const PROSE: usize = 110;
/// Columns of a link's address that are shown.
const ADDRESS: usize = 200;

pub(super) const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS);

/// What rows are made for.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub columns: usize,
    pub theme: Theme,
    pub highlighter: &'a Highlighter,
    /// Whether the text may go on.
    pub last: Last,
}

/// What a block came to.
#[derive(Default)]
pub(super) struct Rendered {
    pub rows: Vec<Row>,
    /// The rows of each block of code in it.
    pub codes: Vec<Range<usize>>,
    pub colours: code::Colours,
}

/// A list: the number of its next item, if it has numbers, and whether its items are
/// apart from each other.
struct List {
    next: Option<u64>,
    loose: bool,
    items: usize,
}

struct Renderer<'a> {
    target: Target<'a>,
    out: Rendered,
    containers: Containers,
    lists: Vec<List>,
    /// Whether something came before in the innermost container.
    after: bool,
    styles: Vec<Style>,
    lines: Vec<Line<'static>>,
    /// Addresses of open links, and how long the text was when they began.
    links: Vec<(String, String)>,
    table: Option<Table>,
    code: Option<(String, String)>,
    html: bool,
    memos: &'a mut Vec<Code>,
}

/// Rows of a block; `memos` has the colours of its blocks of code from the last time.
pub(super) fn render(source: &str, target: Target<'_>, memos: &mut Vec<Code>) -> Rendered {
    let mut renderer = Renderer {
        target,
        out: Rendered::default(),
        containers: Containers::new(target.columns),
        lists: Vec::new(),
        after: false,
        styles: Vec::new(),
        lines: vec![Line::default()],
        links: Vec::new(),
        table: None,
        code: None,
        html: false,
        memos,
    };
    let mut depth = 0usize;
    let mut at = 0;
    for (event, range) in Parser::new_ext(source, OPTIONS).into_offset_iter() {
        if depth == 0 {
            renderer.left_out(&source[at..range.start.max(at)]);
            at = at.max(range.end);
        }
        match &event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        renderer.event(event);
    }
    renderer.left_out(&source[at..]);
    renderer.out
}

/// Texts of the blocks of code in a block.
pub(super) fn codes(source: &str) -> Vec<String> {
    let mut codes = Vec::new();
    let mut open: Option<String> = None;
    for event in Parser::new_ext(source, OPTIONS) {
        match (event, &mut open) {
            (Event::Start(Tag::CodeBlock(_)), _) => open = Some(String::new()),
            (Event::Text(text), Some(code)) => code.push_str(&text),
            (Event::End(TagEnd::CodeBlock), _) => codes.extend(open.take()),
            _ => {}
        }
    }
    codes
}

impl Renderer<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None if self.html => self.literal(&text),
                None => self.text(&text),
            },
            Event::Code(text) => self.styled(&text, Role::Code),
            Event::InlineMath(text) | Event::DisplayMath(text) => self.styled(&text, Role::Code),
            Event::Html(text) => self.literal(&text),
            Event::InlineHtml(text) => self.styled(&text, Role::Dim),
            Event::FootnoteReference(text) => self.text(&text),
            Event::SoftBreak => self.text(" "),
            Event::HardBreak => self.lines.push(Line::default()),
            Event::Rule => self.rule(),
            Event::TaskListMarker(done) => self.task(done),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => {
                // A paragraph of its own in an item is what makes a list loose.
                let in_item = self.containers.in_item();
                if let (true, Some(list)) = (in_item, self.lists.last_mut()) {
                    list.loose = true;
                }
                self.begin_block();
            }
            Tag::Heading { level, .. } => {
                self.begin_block();
                let style = self.target.theme.style(Role::Heading);
                self.styles.push(match level {
                    HeadingLevel::H1 | HeadingLevel::H2 => style.add_modifier(Modifier::UNDERLINED),
                    HeadingLevel::H3 | HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => {
                        style
                    }
                });
            }
            Tag::BlockQuote(_) => {
                self.begin_block();
                self.containers.open_quote();
                self.after = false;
            }
            Tag::CodeBlock(kind) => {
                self.begin_block();
                let language = match kind {
                    CodeBlockKind::Fenced(info) => code::language(&info),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((language, String::new()));
            }
            Tag::HtmlBlock => {
                self.begin_block();
                self.html = true;
            }
            Tag::List(first) => {
                self.flush();
                let nested = self.containers.in_item();
                let tight = self.lists.last().is_some_and(|list| !list.loose);
                if self.after && !(nested && tight) {
                    self.blank();
                }
                self.lists.push(List {
                    next: first,
                    loose: false,
                    items: 0,
                });
            }
            Tag::Item => self.item(),
            Tag::Table(alignments) => {
                self.begin_block();
                self.table = Some(Table {
                    alignments,
                    rows: Vec::new(),
                });
            }
            Tag::TableHead => {
                self.push_role(Role::Strong);
                self.table_row();
            }
            Tag::TableRow => self.table_row(),
            Tag::TableCell => self.lines = vec![Line::default()],
            Tag::Emphasis => self.push_role(Role::Emphasis),
            Tag::Strong => self.push_role(Role::Strong),
            Tag::Strikethrough => {
                let style = Style::new().add_modifier(Modifier::CROSSED_OUT);
                self.styles.push(style);
            }
            Tag::Link { dest_url, .. } => {
                self.links.push((dest_url.into_string(), String::new()));
                self.push_role(Role::Link);
            }
            Tag::Image { dest_url, .. } => {
                self.text("[image: ");
                self.links.push((dest_url.into_string(), String::new()));
            }
            // Extensions that are not turned on.
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.flush(),
            TagEnd::Heading(_) => {
                self.flush();
                self.styles.pop();
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.containers.close();
                self.after = true;
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::HtmlBlock => {
                self.flush();
                self.html = false;
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.after = true;
            }
            TagEnd::Item => self.end_item(),
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    let rows = table.lay_out(self.room(), self.target.theme);
                    rows.into_iter().for_each(|row| self.push(row));
                }
            }
            TagEnd::TableHead => {
                self.styles.pop();
            }
            TagEnd::TableCell => {
                let cell = std::mem::replace(&mut self.lines, vec![Line::default()]);
                let spans = cell.into_iter().flat_map(|line| line.spans);
                if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
                    row.push(spans.collect::<Line<'static>>());
                }
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.styles.pop();
            }
            TagEnd::Link => {
                self.styles.pop();
                self.address();
            }
            TagEnd::Image => {
                self.text("]");
                self.address();
            }
            TagEnd::TableRow
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => {}
        }
    }

    fn item(&mut self) {
        let mut mark = "• ".to_owned();
        let mut apart = false;
        if let Some(list) = self.lists.last_mut() {
            if let Some(number) = &mut list.next {
                mark = format!("{number}. ");
                *number = number.saturating_add(1);
            }
            apart = list.loose && list.items > 0;
            list.items += 1;
        }
        if apart {
            self.blank();
        }
        if let Some(mark) = self.containers.open_item(mark) {
            self.text(&mark);
        }
        self.after = false;
    }

    fn end_item(&mut self) {
        self.flush();
        // An empty item has its mark all the same.
        if self.containers.mark_is_due() {
            self.push(Row::default());
        }
        self.containers.close();
        self.after = true;
    }

    fn end_code(&mut self) {
        let Some((language, text)) = self.code.take() else {
            return;
        };
        let nth = self.out.codes.len();
        if self.memos.get(nth).is_none() {
            self.memos.push(Code::new(&language));
        }
        if self.memos[nth].language() != language {
            self.memos[nth] = Code::new(&language);
        }
        let target = Target {
            columns: self.room(),
            ..self.target
        };
        let from = self.out.rows.len();
        let (rows, colours) = code::block(&language, &text, target, &mut self.memos[nth]);
        rows.into_iter().for_each(|row| self.push(row));
        if colours == code::Colours::Awaited {
            self.out.colours = colours;
        }
        self.out.codes.push(from..self.out.rows.len());
    }

    fn task(&mut self, done: bool) {
        let sign = if done { "[x] " } else { "[ ] " };
        if !self.containers.add_to_mark(sign) {
            self.text(sign);
        }
    }

    fn rule(&mut self) {
        self.begin_block();
        let rule = "─".repeat(self.room().min(PROSE));
        let style = self.target.theme.style(Role::Dim);
        self.push(Row::decoration(Line::from(Span::styled(rule, style))));
    }

    fn table_row(&mut self) {
        if let Some(table) = &mut self.table {
            table.rows.push(Vec::new());
        }
    }

    /// An address after a link's text, unless that says it already.
    fn address(&mut self) {
        let Some((address, text)) = self.links.pop() else {
            return;
        };
        if address != text && address.strip_prefix("mailto:") != Some(text.as_str()) {
            let style = self.style().patch(self.target.theme.style(Role::Dim));
            self.add(&format!(" ({})", fit(&address, ADDRESS)), style);
        }
    }

    /// What the parser has no event for, such as definitions of links.
    fn left_out(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.begin_block();
            self.literal(text.trim());
            self.flush();
        }
    }

    fn push_role(&mut self, role: Role) {
        self.styles.push(self.target.theme.style(role));
    }

    fn style(&self) -> Style {
        let styles = self.styles.iter();
        styles.fold(Style::new(), |all, one| all.patch(*one))
    }

    fn text(&mut self, text: &str) {
        let style = self.style();
        self.add(text, style);
    }

    fn styled(&mut self, text: &str, role: Role) {
        let style = self.style().patch(self.target.theme.style(role));
        self.add(text, style);
    }

    /// Text with line ends that count.
    fn literal(&mut self, text: &str) {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.lines.push(Line::default());
            }
            self.styled(line, Role::Dim);
        }
    }

    fn add(&mut self, text: &str, style: Style) {
        for (_, link) in &mut self.links {
            link.push_str(text);
        }
        let text = text.replace('\t', " ");
        let text = sanitize::for_line(&text).into_owned();
        if let (false, Some(line)) = (text.is_empty(), self.lines.last_mut()) {
            line.spans.push(Span::styled(text, style));
        }
    }

    fn begin_block(&mut self) {
        self.flush();
        if self.after {
            self.blank();
        }
    }

    /// The text so far as rows.
    fn flush(&mut self) {
        let mut lines = std::mem::replace(&mut self.lines, vec![Line::default()]);
        while lines.last().is_some_and(|line| line.spans.is_empty()) {
            lines.pop();
        }
        let columns = self.room().min(PROSE);
        for line in lines {
            for row in Row::wrapped(&line, columns, 0) {
                self.push(row);
            }
        }
    }

    fn blank(&mut self) {
        self.push(Row::default());
    }

    /// Columns that the containers leave.
    fn room(&self) -> usize {
        self.containers.room()
    }

    /// A row with what the containers put before it.
    fn push(&mut self, mut row: Row) {
        self.containers.prefix(&mut row, self.target.theme);
        self.out.rows.push(row);
        self.after = true;
    }
}
