using MiniHypervisor;
using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Testing;

namespace VhdService.Guest.TinyGuest;

/// <summary>A real virtual processor goes from CPUID to a SCSI read and write through the hypercall page.</summary>
public sealed class TinyGuestTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_tiny_guest_writes_a_block_and_reads_it_back(bool usesInterrupts)
    {
        Assert.SkipUnless(File.Exists("/dev/kvm"), "There is no /dev/kvm: no processor to run a guest on.");
        using var folder = new TempFolder();
        var random = new Random(7);
        var first = new byte[TinyGuestProgram.TransferLength];
        var written = new byte[TinyGuestProgram.TransferLength];
        random.NextBytes(first);
        random.NextBytes(written);
        await using (var disk = await VirtualDisk.CreateAsync(folder["disk.vhdx"], new ImageCreateOptions { Format = ImageFormat.Vhdx, Size = 8 << 20 }))
        {
            await disk.WriteAsync(0, first);
        }

        var console = new MemoryStream();
        var report = new TaskCompletionSource<(ushort Port, uint Value)>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (var machine = Create(console, report))
        {
            await machine.AddDiskAsync(folder["disk.vhdx"]);
            var program = new TinyGuestProgram(usesInterrupts);
            program.Write(machine.Memory);
            written.CopyTo(machine.Memory.Span(TinyGuestProgram.Source, written.Length));

            machine.Start(TinyGuestProgram.Entry, 0, TinyGuestProgram.Stack);
            var ended = await Task.WhenAny(report.Task, machine.Ended, Task.Delay(Limit, TestContext.Current.CancellationToken));
            Assert.True(ended == report.Task, ended == machine.Ended ? await machine.Ended : $"the guest said nothing within {Limit}");
            Assert.Equal((TinyGuestProgram.SuccessPort, 1u), await report.Task);

            Assert.Equal(first, machine.Memory.Span(TinyGuestProgram.FirstBlock, first.Length).ToArray());
            var unit = Assert.Single(machine.Statistics.Units).Disk;
            Assert.Equal((2, 1, 0), (unit.ReadCount, unit.WriteCount, unit.ErrorCount));
        }

        await using var after = await VirtualDisk.OpenAsync(folder["disk.vhdx"]);
        var read = new byte[written.Length];
        await after.ReadAsync(TinyGuestProgram.WrittenLba * 512, read);
        Assert.Equal(written, read);
        await after.ReadAsync(0, read);
        Assert.Equal(first, read);
    }

    private static Machine Create(Stream console, TaskCompletionSource<(ushort Port, uint Value)> report)
    {
        try
        {
            return new Machine(64 << 20, 1, console)
            {
                OtherPort = (processor, port, value) =>
                {
                    if (port is TinyGuestProgram.SuccessPort or TinyGuestProgram.FailurePort)
                    {
                        processor.Stop();
                        report.TrySetResult((port, value));
                    }
                },
            };
        }
        catch (InvalidOperationException error)
        {
            Assert.Skip($"KVM here does not do: {error.Message}");
            throw;
        }
    }
}
