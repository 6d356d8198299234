"""Reduces the CityLearn 2022 data to the built-in sample.

Usage: python3 data/reduce.py CityLearn-1.8.0-py3-none-any.whl OUTPUT_DIR

Needs Python 3.9 or later and nothing else. Writes homes.csv.gz and weather.csv.gz; the same wheel
gives the same rows. See data/README.md for what the columns mean and how the clocks were determined.
"""

import csv
import datetime
import gzip
import io
import json
import pathlib
import sys
import zipfile

FOLDER = "citylearn/data/citylearn_challenge_2022_phase_all/"
HOURS = 8760
START = datetime.datetime(2016, 8, 1)
AHEAD = (6, 12, 24)


def rows(wheel, name):
    table = list(csv.DictReader(io.StringIO(wheel.read(FOLDER + name).decode("utf-8"))))
    assert len(table) == HOURS, (name, len(table))
    return table


def column(table, name):
    return [float(row[name]) for row in table]


def check_calendar(table):
    """The time columns must count wall-clock hours from Monday 2016-08-01 00:00, labelled 24, 1 .. 23."""
    for i, row in enumerate(table):
        moment = START + datetime.timedelta(hours=i)
        labelled = moment if moment.hour else moment - datetime.timedelta(hours=1)
        assert int(float(row["Hour"])) == (moment.hour or 24), i
        assert int(float(row["Day Type"])) == labelled.isoweekday(), i
        assert int(float(row["Month"])) == labelled.month, i


def check_predictions(table, name):
    """The predicted columns repeat the measured column, shifted and wrapped at the year's end."""
    measured = column(table, name)
    for ahead in AHEAD:
        predicted = column(table, f"{ahead}h Prediction {name}")
        assert all(predicted[i] == measured[(i + ahead) % HOURS] for i in range(HOURS)), (name, ahead)


def homes(wheel):
    schema = json.loads(wheel.read(FOLDER + "schema.json"))
    header, columns = ["local_time"], []
    load, solar = [], []
    for number in range(1, 18):
        building = schema["buildings"][f"Building_{number}"]
        table = rows(wheel, building["energy_simulation"])
        check_calendar(table)
        peak_kw = building["pv"]["attributes"]["nominal_power"]
        load.append([round(1000 * kwh) for kwh in column(table, "Equipment Electric Power [kWh]")])
        solar.append([round(peak_kw * w) for w in column(table, "Solar Generation [W/kW]")])
    header += [f"load_{n:02}_w" for n in range(1, 18)] + [f"solar_{n:02}_w" for n in range(1, 18)]
    pricing = rows(wheel, "pricing.csv")
    check_predictions(pricing, "Electricity Pricing [$]")
    price = column(pricing, "Electricity Pricing [$]")
    carbon = [round(x, 4) for x in column(rows(wheel, "carbon_intensity.csv"), "kg_CO2/kWh")]
    header += ["price_usd_per_kwh", "carbon_kg_per_kwh"]
    columns = load + solar + [price, carbon]
    clock = ((START + datetime.timedelta(hours=i)).strftime("%Y-%m-%dT%H:%M") for i in range(HOURS))
    return [header] + [[time, *values] for time, *values in zip(clock, *columns)]


def weather(wheel):
    table = rows(wheel, "weather.csv")
    names = {
        "temperature_c": "Outdoor Drybulb Temperature [C]",
        "humidity_pct": "Relative Humidity [%]",
        "diffuse_w_per_m2": "Diffuse Solar Radiation [W/m2]",
        "direct_w_per_m2": "Direct Solar Radiation [W/m2]",
    }
    columns = []
    for name in names.values():
        check_predictions(table, name)
        columns.append([int(x) if x == int(x) else x for x in column(table, name)])
    clock = ((START + datetime.timedelta(hours=i + 7)).strftime("%Y-%m-%dT%H:%MZ") for i in range(HOURS))
    return [["utc_time", *names]] + [[time, *values] for time, *values in zip(clock, *columns)]


def write(path, table):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    path.write_bytes(gzip.compress(text.getvalue().encode("ascii"), compresslevel=9, mtime=0))
    print(f"{path.name}: {len(table) - 1} rows, {path.stat().st_size} bytes")


def main():
    wheel, folder = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
    write(folder / "homes.csv.gz", homes(wheel))
    write(folder / "weather.csv.gz", weather(wheel))


if __name__ == "__main__":
    main()
