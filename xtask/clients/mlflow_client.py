"""Asks a running server everything its MLflow routes promise, with mlflow-skinny as its users have it.

Nothing of the client is changed from its defaults. Every check prints a line; the exit code is the number of failures.
"""

import argparse
import sys

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

failures = 0


def check(what, call):
    """Runs one check: a call that must not raise and whose answer must be true."""
    global failures
    try:
        answer = call()
        ok = answer is None or bool(answer)
        print(f"{'ok  ' if ok else 'FAIL'} {what}" + ("" if ok else f": {answer!r}"))
    except Exception as error:  # whatever the client raises is what its user would see
        ok = False
        print(f"FAIL {what}: {type(error).__name__}: {error}")
    failures += not ok


def refused(call, code):
    """The error code that a call is refused with must be this one."""
    try:
        call()
    except MlflowException as error:
        return error.error_code == code or f"refused with {error.error_code}"
    return "it was not refused"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--http", default="127.0.0.1:8080")
    options.add_argument("--series", required=True)
    options = options.parse_args()
    url, name = f"http://{options.http}", options.series
    client = MlflowClient(tracking_uri=url, registry_uri=url)

    check("search_registered_models", lambda: name in [m.name for m in client.search_registered_models()])
    check("... with a filter", lambda: [m.name for m in client.search_registered_models(f"name = '{name}'")] == [name])
    check("... ordered", lambda: client.search_registered_models(order_by=["name DESC"]))
    check("get_registered_model", lambda: client.get_registered_model(name).name == name)
    check("create_registered_model is refused", lambda: refused(
        lambda: client.create_registered_model(name), "RESOURCE_ALREADY_EXISTS") is True)
    check("update_registered_model", lambda: client.update_registered_model(name, "for the grid").description == "for the grid")
    check("set_registered_model_tag", lambda: client.set_registered_model_tag(name, "owner", "grid"))
    check("... is there", lambda: client.get_registered_model(name).tags == {"owner": "grid"})
    check("delete_registered_model_tag", lambda: client.delete_registered_model_tag(name, "owner"))

    versions = client.search_model_versions(f"name='{name}'")
    check("search_model_versions", lambda: len(versions) > 0)
    check("... of all", lambda: len(client.search_model_versions()) >= len(versions))
    check("... page by page", lambda: client.search_model_versions(max_results=1))
    version = versions[0].version
    check("get_model_version", lambda: client.get_model_version(name, version).status == "READY")
    check("get_model_version_download_uri", lambda: client.get_model_version_download_uri(name, version).startswith("forewatt:/"))
    check("set_model_version_tag", lambda: client.set_model_version_tag(name, version, "checked", "yes"))
    check("... is there", lambda: client.get_model_version(name, version).tags["checked"] == "yes")
    check("... is found", lambda: [v.version for v in client.search_model_versions("tag.checked = 'yes'")] == [version])
    check("delete_model_version_tag", lambda: client.delete_model_version_tag(name, version, "checked"))
    check("update_model_version", lambda: client.update_model_version(name, version, "newest").description == "newest")
    check("set_registered_model_alias", lambda: client.set_registered_model_alias(name, "blue", version))
    check("get_model_version_by_alias", lambda: client.get_model_version_by_alias(name, "blue").version == version)
    check("... in the model", lambda: client.get_registered_model(name).aliases["blue"] == version)
    check("delete_registered_model_alias", lambda: client.delete_registered_model_alias(name, "blue"))
    check("... is gone", lambda: refused(
        lambda: client.get_model_version_by_alias(name, "blue"), "RESOURCE_DOES_NOT_EXIST") is True)
    check("the champion has an alias", lambda: client.get_model_version_by_alias(name, "champion").current_stage == "Production")
    check("get_latest_versions", lambda: client.get_latest_versions(name, ["Production"])[0].current_stage == "Production")
    check("transition_model_version_stage", lambda: client.transition_model_version_stage(
        name, client.get_model_version_by_alias(name, "champion").version, "Production").current_stage == "Production")
    check("an unknown model is told", lambda: refused(
        lambda: client.get_registered_model("nobody.load"), "RESOURCE_DOES_NOT_EXIST") is True)
    check("create_model_version is refused", lambda: refused(
        lambda: client.create_model_version(name, "s3://somewhere"), "INVALID_PARAMETER_VALUE") is True)
    print(f"{failures} failures")
    return min(failures, 100)


if __name__ == "__main__":
    sys.exit(main())
