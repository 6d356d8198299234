//! Holidays of India: three national days, and feasts of the lunar calendars by table.

use std::ops::RangeInclusive;

use super::Country;
use super::plan::Plan;

/// The holidays that most of India keeps.
pub(super) const INDIA: Country = Country { codes: &["IN"], rules: india };

/// The years the table covers.
pub(super) const YEARS: RangeInclusive<i16> = 2010..=2035;

/// One feast: its name and its date in each year from 2010, as month * 100 + day.
type Feast = (&'static str, [u16; 26]);

/// Dates of the Government of India's lists; the Islamic ones after 2026 depend on the moon and may err by a day.
const FEASTS: [Feast; 13] = [
    (
        "Maha Shivaratri",
        [
            212, 302, 220, 310, 227, 217, 307, 224, 213, 304, 221, 311, 301, 218, 308, 226, 215, 306, 223,
            211, 302, 220, 310, 227, 217, 308,
        ],
    ),
    (
        "Holi",
        [
            301, 320, 308, 327, 317, 306, 324, 313, 302, 321, 310, 329, 318, 308, 325, 314, 304, 322, 311,
            301, 320, 309, 327, 316, 305, 324,
        ],
    ),
    (
        "Ram Navami",
        [
            324, 412, 401, 419, 408, 328, 415, 404, 325, 413, 402, 421, 410, 330, 417, 406, 326, 415, 403,
            422, 412, 401, 419, 407, 328, 416,
        ],
    ),
    (
        "Mahavir Jayanti",
        [
            428, 416, 405, 424, 413, 402, 420, 409, 329, 417, 406, 425, 414, 404, 421, 410, 331, 418, 407,
            426, 416, 405, 423, 412, 401, 420,
        ],
    ),
    (
        "Buddha Purnima",
        [
            527, 517, 506, 525, 514, 504, 521, 510, 430, 518, 507, 526, 516, 505, 523, 512, 501, 520, 508,
            527, 517, 507, 525, 514, 503, 522,
        ],
    ),
    (
        "Janmashtami",
        [
            902, 822, 810, 828, 818, 905, 825, 815, 903, 824, 812, 830, 819, 907, 826, 816, 904, 825, 813,
            901, 821, 810, 828, 817, 906, 826,
        ],
    ),
    (
        "Dussehra",
        [
            1017, 1006, 1024, 1013, 1003, 1022, 1011, 930, 1019, 1008, 1025, 1015, 1005, 1024, 1012, 1002,
            1020, 1009, 927, 1016, 1006, 1025, 1014, 1003, 1022, 1011,
        ],
    ),
    (
        "Diwali",
        [
            1105, 1026, 1113, 1103, 1023, 1111, 1030, 1019, 1107, 1027, 1114, 1104, 1024, 1112, 1031, 1020,
            1108, 1029, 1017, 1105, 1026, 1114, 1102, 1022, 1110, 1030,
        ],
    ),
    (
        "Guru Nanak Jayanti",
        [
            1121, 1110, 1128, 1117, 1106, 1125, 1114, 1104, 1123, 1112, 1130, 1119, 1108, 1127, 1115, 1105,
            1124, 1114, 1102, 1121, 1110, 1128, 1117, 1106, 1125, 1115,
        ],
    ),
    (
        "Eid al-Fitr",
        [
            911, 831, 820, 809, 729, 718, 706, 626, 616, 605, 525, 514, 503, 422, 411, 331, 321, 310, 227,
            215, 205, 125, 115, 103, 1213, 1202,
        ],
    ),
    (
        "Eid al-Adha",
        [
            1117, 1107, 1027, 1016, 1006, 925, 912, 902, 822, 812, 801, 721, 710, 629, 617, 607, 527, 517,
            506, 425, 414, 403, 323, 312, 302, 219,
        ],
    ),
    (
        "Muharram",
        [
            1217, 1206, 1125, 1114, 1104, 1024, 1012, 1001, 921, 910, 830, 819, 809, 729, 717, 706, 626, 616,
            604, 524, 513, 503, 421, 411, 331, 321,
        ],
    ),
    (
        "Milad-un-Nabi",
        [
            227, 216, 205, 125, 114, 104, 1213, 1202, 1121, 1110, 1030, 1019, 1009, 928, 916, 905, 826, 815,
            804, 725, 714, 703, 621, 610, 531, 521,
        ],
    ),
];

fn india(p: &mut Plan, _: &str) {
    p.fixed(&[
        (1, 26, "Republic Day"),
        (8, 15, "Independence Day"),
        (10, 2, "Gandhi Jayanti"),
        (12, 25, "Christmas Day"),
    ])
    .easter(-2, "Good Friday");
    // The Islamic year is eleven days shorter: some years hold a feast twice.
    p.once(&[(2033, 12, 24, "Eid al-Fitr"), (2015, 12, 24, "Milad-un-Nabi")]);
    let Ok(index) = usize::try_from(p.year - YEARS.start()) else {
        return;
    };
    for (name, dates) in &FEASTS {
        if let Some(date) = dates.get(index) {
            // Two digits each: both fit.
            p.on((date / 100) as i8, (date % 100) as i8, name);
        }
    }
}
