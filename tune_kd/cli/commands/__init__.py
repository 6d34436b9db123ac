"""One file a command; the order of these imports is that of the help."""

from tune_kd.cli.commands import run as run  # isort: skip
from tune_kd.cli.commands import study as study  # isort: skip
from tune_kd.cli.commands import plan as plan  # isort: skip
from tune_kd.cli.commands import report as report  # isort: skip
from tune_kd.cli.commands import watch as watch  # isort: skip
from tune_kd.cli.commands import explain as explain  # isort: skip
from tune_kd.cli.commands import analyse as analyse  # isort: skip
from tune_kd.cli.commands import list as list  # isort: skip
from tune_kd.cli.commands import store as store  # isort: skip
from tune_kd.cli.commands import cache as cache  # isort: skip
from tune_kd.cli.commands import new as new  # isort: skip
from tune_kd.cli.commands import rerun as rerun  # isort: skip
from tune_kd.cli.commands import doctor as doctor  # isort: skip
