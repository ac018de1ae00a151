//! Many rows in one statement, as bound values: SQLite reads them several times faster than out of JSON. Decides how
//! many at once; what is prepared once serves every group.

use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};
use std::sync::OnceLock;

/// Rows of one execution, the largest that fits first: few statements, and few executions.
const AT_ONCE: [usize; 3] = [256, 16, 1];

/// A statement that takes rows of so many columns, where its text says `{rows}`.
pub(super) struct PerRow {
    columns: usize,
    text: &'static str,
    /// The texts, by the place in `AT_ONCE`.
    made: OnceLock<[String; AT_ONCE.len()]>,
}

impl PerRow {
    pub(super) const fn new(columns: usize, text: &'static str) -> Self {
        Self { columns, text, made: OnceLock::new() }
    }

    /// Runs it for all rows, in their order; `add` binds the columns of one.
    pub(super) async fn run<T>(
        &'static self,
        connection: &mut SqliteConnection,
        mut rows: &[T],
        add: impl Fn(&mut SqliteArguments, &T) -> Result<(), BoxDynError>,
    ) -> Result<(), sqlx::Error> {
        let made = self.made.get_or_init(|| AT_ONCE.map(|count| self.with_rows(count)));
        for (sql, count) in made.iter().zip(AT_ONCE) {
            while let Some((now, later)) = rows.split_at_checked(count) {
                rows = later;
                let mut bound = SqliteArguments::default();
                bound.reserve(count * self.columns, 0);
                now.iter().try_for_each(|row| add(&mut bound, row)).map_err(sqlx::Error::Encode)?;
                sqlx::query_with(sql.as_str(), bound).execute(&mut *connection).await?;
            }
        }
        Ok(())
    }

    fn with_rows(&self, count: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns].join(","));
        self.text.replace("{rows}", &vec![row; count].join(","))
    }
}
