using System.Diagnostics;
using System.Globalization;
using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCore.Interop.Kills;

/// <summary>A process that writes to an image until it is killed.</summary>
internal sealed class VictimProcess : IDisposable
{
    private readonly Process _process;
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _reading;

    public VictimProcess(string path, int seed, StorageEngine engine, CallerWaits waits)
    {
        string[] arguments = [Path.Combine(AppContext.BaseDirectory, "VhdCore.Victim.dll"), path, seed.ToString(CultureInfo.InvariantCulture), engine.ToString(), waits.ToString()];
        var start = new ProcessStartInfo("dotnet", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _process = Process.Start(start)!;
        _reading = ReadAsync();
    }

    /// <summary>The disk was open.</summary>
    public bool IsOpened { get; private set; }

    /// <summary>Segments whose flush was acknowledged.</summary>
    public int AcknowledgedCount { get; private set; }

    /// <summary>Waits until the disk is open.</summary>
    public Task OpenedAsync() => _opened.Task.WaitAsync(Patience.Hang);

    /// <summary>Waits until so many segments are acknowledged.</summary>
    public async Task AcknowledgedAsync(int count)
    {
        await OpenedAsync();
        var clock = Stopwatch.StartNew();
        while (AcknowledgedCount < count && clock.Elapsed < Patience.Hang)
        {
            await Task.Delay(1);
        }
    }

    /// <summary>Kills it at once, and takes in what it has said.</summary>
    public async Task KillAsync()
    {
        Assert.False(_process.HasExited, "The victim has ended by itself.");
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(Patience.Hang);
        await _reading.WaitAsync(Patience.Hang);
        var said = await _process.StandardError.ReadToEndAsync();
        Assert.True(said.Length == 0, said);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit(Patience.Hang);
        }

        _process.Dispose();
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line == "open")
            {
                IsOpened = true;
                _opened.SetResult();
            }
            else
            {
                AcknowledgedCount = int.Parse(line, CultureInfo.InvariantCulture) + 1;
            }
        }

        _opened.TrySetException(new InvalidOperationException("The victim ended before the disk was open."));
    }
}
