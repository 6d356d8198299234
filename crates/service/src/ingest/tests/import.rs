//! The import against a store in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use forewatt_domain::{Series, SeriesKind, SeriesName};
use forewatt_store::{ObservationRange, ObservationStore, SeriesState, SeriesStore, WriteOutcome};

use super::*;

/// Just enough of a store.
#[derive(Default)]
struct Memory {
    series: Mutex<BTreeMap<SeriesName, Series>>,
    values: Mutex<BTreeMap<(SeriesName, Time, Time), f64>>,
}

impl SeriesStore for Memory {
    async fn put_series(&self, series: &Series, _: Time) -> forewatt_store::Result<()> {
        self.series.lock().unwrap().insert(series.name.clone(), series.clone());
        Ok(())
    }
    async fn get_series(&self, name: &SeriesName) -> forewatt_store::Result<Option<(Series, SeriesState)>> {
        let state = SeriesState {
            revision: 0,
            observations: 0,
            first_valid_time: None,
            last_valid_time: None,
            last_available_at: None,
        };
        Ok(self.series.lock().unwrap().get(name).map(|s| (s.clone(), state)))
    }
    async fn list_series(
        &self,
        _: Option<&SeriesName>,
        _: u32,
    ) -> forewatt_store::Result<Vec<(Series, SeriesState)>> {
        Ok(Vec::new())
    }
}

impl ObservationStore for Memory {
    async fn write_observations(
        &self,
        series: &SeriesName,
        observations: &[Observation],
    ) -> forewatt_store::Result<WriteOutcome> {
        let mut outcome = WriteOutcome::default();
        let mut values = self.values.lock().unwrap();
        for (i, o) in observations.iter().enumerate() {
            match values.get(&(series.clone(), o.valid_time, o.available_at)) {
                Some(v) if *v == o.value => outcome.unchanged += 1,
                Some(_) => {
                    outcome.conflicts.push(i);
                    outcome.conflict_count += 1;
                }
                None => {
                    values.insert((series.clone(), o.valid_time, o.available_at), o.value);
                    outcome.stored += 1;
                }
            }
        }
        Ok(outcome)
    }
    async fn read_as_of(&self, _: &ObservationRange, _: Time) -> forewatt_store::Result<Vec<Observation>> {
        Ok(Vec::new())
    }
    async fn read_revisions(&self, _: &ObservationRange) -> forewatt_store::Result<Vec<Observation>> {
        Ok(Vec::new())
    }
}

async fn run(store: &Memory, text: &str, dry_run: bool) -> Result<Report, ImportError> {
    let defaults = SeriesDefaults { unit: "MW".to_owned(), ..SeriesDefaults::default() };
    let progress = Mutex::new((0, 0));
    let source: Arc<dyn Source> = Arc::new(source(text));
    let tell = |done: u64, total: u64| {
        let mut last = progress.lock().unwrap();
        assert!(done >= last.0 && done <= total, "progress only grows");
        *last = (done, total);
    };
    let mut options = options(None);
    options.columns = vec![ColumnMap { column: "v".to_owned(), series: "city.load".parse().unwrap() }];
    let report = import(store, source, options, &defaults, dry_run, tell, Time::from_seconds(0)).await?;
    let last = *progress.lock().unwrap();
    assert_eq!(last, (text.len() as u64, text.len() as u64));
    Ok(report)
}

fn file(days: u32, factor: u32) -> String {
    let mut text = "t,v\n".to_owned();
    for hour in 0..days * 24 {
        let time = Time::from_seconds(1_767_225_600 + i64::from(hour) * 3600);
        text += &format!("{time},{}\n", hour * factor);
    }
    text
}

#[tokio::test]
async fn twice_is_once() {
    let store = Memory::default();
    let dry = run(&store, &file(30, 1), true).await.unwrap();
    assert_eq!((dry.stored, dry.values(), store.series.lock().unwrap().len()), (0, 720, 0));
    let first = run(&store, &file(30, 1), false).await.unwrap();
    assert_eq!((first.stored, first.unchanged), (720, 0));
    assert!(first.warnings.iter().any(|w| w.contains("kind `load`")), "{:?}", first.warnings);
    let series = store.series.lock().unwrap().values().next().unwrap().clone();
    assert_eq!((series.kind, series.unit.as_str()), (SeriesKind::Load, "MW"));
    let again = run(&store, &file(30, 1), false).await.unwrap();
    assert_eq!((again.stored, again.unchanged, again.rejected_count()), (0, 720, 0));
    let longer = run(&store, &file(31, 1), false).await.unwrap();
    assert_eq!((longer.stored, longer.unchanged), (24, 720));
}

#[tokio::test]
async fn conflicts_name_their_lines() {
    let store = Memory::default();
    run(&store, &file(2, 1), false).await.unwrap();
    let report = run(&store, &file(2, 2), false).await.unwrap();
    let conflicts = &report.rejected[&Reason::ConflictsWithStored];
    assert_eq!((conflicts.count, conflicts.lines[0], report.unchanged), (47, 3, 1));
    assert!(report.to_string().contains("--available-after"));
}

#[tokio::test]
async fn many_batches_and_a_refused_file() {
    let store = Memory::default();
    let report = run(&store, &file(4500, 1), false).await.unwrap();
    assert_eq!(report.stored, 108_000);
    let store = Memory::default();
    assert!(run(&store, "t,v\n2026-01-01 00:00,1\n", false).await.is_err());
    assert!(store.series.lock().unwrap().is_empty(), "a refused file leaves nothing behind");
    let minutes = "t,v\n2026-01-01T00:00Z,1\n2026-01-01T00:01Z,1\n";
    run(&store, minutes, false).await.unwrap();
    let report = run(&store, &file(2, 1), false).await.unwrap();
    assert_eq!((report.values(), report.resolution.seconds()), (48, 60), "an existing series sets the step");
}
