using Spectre.Console;
using VhdCore.Operations;

namespace VhdCli.Output;

/// <summary>A bar on a terminal, which appears once an operation has taken a second.</summary>
internal sealed class BarProgress(CliSession session) : ProgressDisplay
{
    private const long Patience = 1000; // milliseconds

    private readonly long _start = Environment.TickCount64;
    private Bar? _bar;

    public override void Report(OperationProgress value)
    {
        if (_bar is null && Environment.TickCount64 - _start < Patience)
        {
            return;
        }

        // Everything of Spectre is in the nested class, so that short operations never load it.
        _bar ??= new Bar(session);
        _bar.Show(value);
    }

    protected override void Dispose(bool disposing)
    {
        _bar?.End();
        base.Dispose(disposing);
    }

    private sealed class Bar
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<ProgressContext> _context = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Task _display;
        private ProgressTask? _task;
        private string? _phase;

        public Bar(CliSession session)
        {
            session.CatchSignals(); // the bar hides the cursor, and has to show it again
            var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(session.Error) });
            _display = console.Progress()
                .AutoClear(true)
                .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
                .StartAsync(async context =>
                {
                    _context.SetResult(context);
                    await _ended.Task;
                });
        }

        public void Show(in OperationProgress value)
        {
            if (_phase != value.Phase)
            {
                _task?.StopTask();
                _phase = value.Phase;
                _task = _context.Task.GetAwaiter().GetResult().AddTask(value.Phase, maxValue: Math.Max(1, value.BytesTotal));
            }

            _task!.Value = value.BytesDone;
        }

        public void End()
        {
            _ended.TrySetResult();
            _display.GetAwaiter().GetResult();
        }
    }
}
