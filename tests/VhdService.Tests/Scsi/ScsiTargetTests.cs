using System.Reflection;
using VhdCore.Errors;
using VhdCore.Testing;
using VhdService.Scsi;

namespace VhdService.Tests.Scsi;

/// <summary>Units that come, go, change, and are not there.</summary>
public sealed class ScsiTargetTests
{
    /// <summary>Asked of the assembly: after a skip that the compiler can foresee, it would take the rest of a test for unreachable.</summary>
    private static bool IsDebugBuild =>
        typeof(ScsiTarget).Assembly.GetCustomAttribute<System.Diagnostics.DebuggableAttribute>() is { IsJITOptimizerDisabled: true };

    private const string ReportLuns = "A0 00 00 00 00 00 00 00 10 00 00 00";

    [Fact]
    public void Units_are_listed_by_number_whichever_unit_is_asked()
    {
        var target = new ScsiTarget();
        using var guest = new ScsiInitiator(target);
        target.Attach(63, new ScsiTestDevice(4096));
        target.Attach(2, new ScsiTestDevice(4096));
        foreach (var lun in new byte[] { 0, 2, 5 })
        {
            guest.Lun = lun;
            Assert.Equal("0000001000000000" + "0002000000000000" + "003F000000000000", Convert.ToHexString(guest.Get(ReportLuns, 4096)));
        }

        Assert.Equal("0000001000000000" + "0002", Convert.ToHexString(guest.Get(ReportLuns, 10)));
        Assert.Equal("0000000000000000", Convert.ToHexString(guest.Get("A0 00 01 00 00 00 00 00 10 00 00 00", 4096)));
    }

    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(0, 1, 0)]
    [InlineData(7, 0, 0)]
    [InlineData(255, 255, 255)]
    public void A_scan_finds_nothing_where_nothing_is(byte path, byte number, byte lun)
    {
        var target = new ScsiTarget();
        target.Attach(0, new ScsiTestDevice(4096));
        using var guest = new ScsiInitiator(target) { Path = path, TargetNumber = number, Lun = lun };

        Assert.Equal("7F".PadRight(72, '0'), Convert.ToHexString(guest.Get("12 00 00 00 24 00", 36)));
        Assert.Equal(ScsiResult.Check(new ScsiSense(5, 0x24, 0)), guest.Receive("12 01 00 00 24 00", 36).Result);
        Assert.Equal(ScsiResult.NoSuchUnit, guest.Send("00 00 00 00 00 00"));
        Assert.Equal(ScsiResult.NoSuchUnit, guest.Receive("28 00 00 00 00 00 00 00 01 00", 512).Result);
        Assert.Equal(path == 0 && number == 0 ? 16 : 8, guest.Get(ReportLuns, 4096).Length);
    }

    [Fact]
    public void Units_come_and_go()
    {
        var target = new ScsiTarget();
        var changes = 0;
        target.UnitsChanged += () => changes++;
        using var guest = new ScsiInitiator(target) { Lun = 1 };
        Assert.Equal(ScsiResult.NoSuchUnit, guest.Send("00 00 00 00 00 00"));

        var disk = target.Attach(1, new ScsiTestDevice(4096));
        Assert.Equal(ScsiResult.Good(), guest.Send("00 00 00 00 00 00"));
        Assert.Same(disk, target[1]);
        Assert.Throws<InvalidOperationException>(() => target.Attach(1, new ScsiTestDevice(4096)));

        Assert.True(target.Detach(1));
        Assert.False(target.Detach(1));
        Assert.Equal(ScsiResult.NoSuchUnit, guest.Send("00 00 00 00 00 00"));
        Assert.Empty(target.Units);
        Assert.Equal(2, changes);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(64)]
    public void Numbers_of_units_are_below_64(int lun) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new ScsiTarget().Attach(lun, new ScsiTestDevice(4096)));

    [Fact]
    public void A_new_capacity_is_told_once_by_the_next_command_that_may()
    {
        var device = new ScsiTestDevice(1 << 20);
        using var guest = new ScsiInitiator(device);
        device.Resize(2 << 20);
        Assert.Equal(36, guest.Get("12 00 00 00 24 00", 36).Length);
        Assert.Equal(16, guest.Get(ReportLuns, 64).Length);
        Assert.Equal(ScsiResult.Check(new ScsiSense(6, 0x2A, 9)), guest.Receive("28 00 00 00 00 00 00 00 01 00", 512).Result);
        Assert.Equal(512, guest.Get("28 00 00 00 0F FF 00 00 01 00", 512).Length);
        Assert.Equal("00000FFF00000200", Convert.ToHexString(guest.Get("25 00 00 00 00 00 00 00 00 00", 8)));

        device.Resize(1 << 20);
        Assert.Equal("70000600000000" + "0A" + "00000000" + "2A09" + "00000000", Convert.ToHexString(guest.Get("03 00 00 00 FF 00", 255)));
        Assert.Equal(ScsiResult.Good(), guest.Send("00 00 00 00 00 00"));
        Assert.Equal(ScsiResult.Check(new ScsiSense(5, 0x21, 0)), guest.Receive("28 00 00 00 0F FF 00 00 01 00", 512).Result);
    }

    [Fact]
    public void A_reset_is_told_before_a_new_capacity()
    {
        var device = new ScsiTestDevice(1 << 20);
        using var guest = new ScsiInitiator(device);
        device.Resize(2 << 20);
        guest.Target.Reset();
        Assert.Equal(ScsiResult.Check(new ScsiSense(6, 0x29, 0)), guest.Send("00 00 00 00 00 00"));
        Assert.Equal(ScsiResult.Check(new ScsiSense(6, 0x2A, 9)), guest.Send("00 00 00 00 00 00"));
        Assert.Equal(ScsiResult.Good(), guest.Send("00 00 00 00 00 00"));
    }

    [Fact]
    public void A_detached_unit_no_longer_hears_its_device()
    {
        var device = new ScsiTestDevice(1 << 20);
        var target = new ScsiTarget();
        target.Attach(0, device);
        target.Detach(0);
        target.Attach(0, device);
        device.Resize(2 << 20);
        using var guest = new ScsiInitiator(target);
        Assert.Equal(ScsiResult.Check(new ScsiSense(6, 0x2A, 9)), guest.Send("00 00 00 00 00 00"));
        Assert.Equal(ScsiResult.Good(), guest.Send("00 00 00 00 00 00"));
    }

    [Fact]
    public async Task A_command_under_way_ends_although_its_unit_has_gone()
    {
        var device = new ScsiTestDevice(1 << 20) { Holds = true };
        var target = new ScsiTarget();
        target.Attach(0, device);
        using var guest = new ScsiInitiator(target);
        using var memory = new NativeBuffer(512);
        var read = guest.SendAsync([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], ScsiDirection.FromUnit, memory.Buffers);
        target.Detach(0);
        Assert.False(read.IsCompleted);
        device.LetGo();
        Assert.Equal(ScsiResult.Good(512), await read);
    }

    [Fact]
    public async Task Statistics_count_what_was_done()
    {
        var device = new ScsiTestDevice(1 << 20);
        using var guest = new ScsiInitiator(device);
        guest.Get("28 00 00 00 00 00 00 00 04 00", 2048);
        guest.Give("2A 00 00 00 00 00 00 00 01 00", new byte[512]);
        guest.Give("2A 00 FF FF FF FF 00 00 01 00", new byte[512]);
        guest.Send("35 00 00 00 00 00 00 00 00 00");
        guest.Send("93 01 00 00 00 00 00 00 00 00 00 00 00 01 00 00");
        guest.Send("00 00 00 00 00 00");
        device.Holds = true;
        using var memory = new NativeBuffer(512);
        var pending = guest.SendAsync([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], ScsiDirection.FromUnit, memory.Buffers);

        var numbers = guest.Target[0]!.Statistics;
        Assert.Equal((1, 2, 1, 1, 1), (numbers.ReadCount, numbers.WriteCount, numbers.FlushCount, numbers.TrimCount, numbers.OtherCount));
        Assert.Equal((2048, 512, 1, 1), (numbers.BytesRead, numbers.BytesWritten, numbers.ErrorCount, numbers.InFlight));
        Assert.True(numbers.MeanLatency > TimeSpan.Zero && numbers.MeanLatency <= numbers.MaxLatency);

        device.LetGo();
        Assert.Equal(ScsiResult.Good(512), await pending);
        Assert.Equal((2, 0), (guest.Target[0]!.Statistics.ReadCount, guest.Target[0]!.Statistics.InFlight));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void No_command_makes_the_target_throw_or_touch_what_it_may_not(int seed)
    {
        var random = new Random(seed);
        var device = new ScsiTestDevice(1 << 20, seed == 2 ? 4096 : 512, isReadOnly: seed == 3);
        using var guest = new ScsiInitiator(device, maxTransferBytes: 64 << 10);
        using var memory = new NativeBuffer(70000);
        byte[] opcodes = [0x00, 0x03, 0x08, 0x0A, 0x12, 0x1A, 0x1B, 0x25, 0x28, 0x2A, 0x2F, 0x35, 0x41, 0x42, 0x5A, 0x88, 0x8A, 0x8F, 0x91, 0x93, 0x9E, 0xA0, 0xA8, 0xAA];
        Span<byte> cdb = stackalloc byte[16];
        for (var i = 0; i < 20_000; i++)
        {
            random.NextBytes(cdb);
            if (random.Next(8) != 0)
            {
                cdb[0] = opcodes[random.Next(opcodes.Length)];
                cdb[2..(random.Next(3) == 0 ? 2 : 10)].Clear();
            }

            random.NextBytes(memory.Span[..64]);
            memory.Span[100..].Fill(0xA5);
            var length = random.Next(2) == 0 ? random.Next(64) : random.Next(69_000);
            var direction = (ScsiDirection)random.Next(3);
            var result = ScsiInitiator.Take(guest.SendAsync(cdb[..random.Next(17)], direction, memory.Slice(0, length)));
            Assert.InRange(result.Transferred, 0, direction == ScsiDirection.None ? 0 : length);
            Assert.Equal(result.Status == ScsiStatus.CheckCondition, result.Sense.IsPresent);
            Assert.NotEqual(new ScsiSense(4, 0x44, 0), result.Sense);
            if (direction != ScsiDirection.FromUnit || length < 100)
            {
                Assert.True(memory.Span[Math.Max(100, length)..].ContainsAnyExcept((byte)0xA5) is false, $"command {i} of seed {seed} wrote where it may not");
            }
        }

        Assert.Equal(0, guest.Target[0]!.Statistics.InFlight);
    }

    [Fact]
    public async Task Reads_and_writes_allocate_nothing_whether_the_device_answers_at_once_or_later()
    {
        Assert.SkipWhen(IsDebugBuild, "Debug builds allocate the state of every async method; the Release build is what is measured.");
        var device = new LateDevice();
        using var guest = new ScsiInitiator(device);
        using var memory = new NativeBuffer(8192);
        byte[] read = [0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0];
        byte[] write = [0x2A, 8, 0, 0, 0, 0, 0, 0, 8, 0];
        var perRequest = long.MaxValue;
        for (var round = 0; round < 200 && perRequest > 0; round++)
        {
            await Task.Delay(round == 0 ? 0 : 20); // the runtime compiles methods again when it finds time
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 4000; i++)
            {
                device.IsLate = i % 3 == 0;
                if (Run(i % 2 == 0 ? read : write, i % 2 == 0 ? ScsiDirection.FromUnit : ScsiDirection.ToUnit) != ScsiResult.Good(4096))
                {
                    Assert.Fail("the request failed");
                }
            }

            perRequest = (GC.GetAllocatedBytesForCurrentThread() - before) / 4000;
        }

        Assert.Equal(0, perRequest);

        ScsiResult Run(byte[] cdb, ScsiDirection direction)
        {
#pragma warning disable CA2012 // it is taken once, when it has ended
            var command = guest.SendAsync(cdb, direction, memory.Buffers);
            device.Complete(BlockStatus.Ok);
            return ScsiInitiator.Take(command);
#pragma warning restore CA2012
        }
    }
}
