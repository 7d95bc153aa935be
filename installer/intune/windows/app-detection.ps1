# Intune Win32 app, detection script: installed means exit code 0 and a line on standard output. Set the version
# that the app brings; another one on the machine counts as not there, so that Intune upgrades it, and goes back with
# an app whose install command is "install.cmd DOWNGRADE=1". Assign only one of them to a machine.
$wanted = [version]'0.1.0'
$program = Join-Path $env:ProgramW6432 'ClaudeTelemetry\claude-telemetry-agent.exe'
if (-not (Test-Path $program)) { exit 1 }
$said = & $program --version 2>$null
if ("$said" -notmatch '([0-9]+(\.[0-9]+)+)') { exit 1 }
if ([version]$Matches[1] -ne $wanted) { exit 1 }
Write-Output "claude-telemetry-agent $($Matches[1])"
exit 0
