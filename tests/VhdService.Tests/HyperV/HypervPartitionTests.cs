using VhdService.HyperV;
using VhdService.Testing;

namespace VhdService.Tests.HyperV;

public sealed class HypervPartitionTests : IDisposable
{
    private readonly PumpedWorld _world = new(1);
    private readonly GuestRam _ram = new(64, seed: 1);
    private readonly FakeProcessors _processors;

    public HypervPartitionTests() => _processors = new FakeProcessors(_ram, _world, 2);

    private HypervPartition Partition => _processors.Partition;

    [Fact]
    public void Leaves_are_those_that_Linux_was_tried_with() => Assert.Equal(
        [
            new(0x40000000, 0x40000006, 0x7263694D, 0x666F736F, 0x76482074),
            new(0x40000001, 0x31237648, 0, 0, 0),
            new(0x40000002, 20348, 0x000A0000, 0, 0),
            new(0x40000003, 0x00008864, 0, 0, 0x00000100),
            new(0x40000004, 0x00000220, 0xFFFFFFFF, 0, 0),
            new(0x40000005, 2, 2, 0, 0),
            new(0x40000006, 0, 0, 0, 0),
        ],
        Partition.CpuidLeaves);

    [Fact]
    public void Privileges_can_name_the_two_calls()
    {
        using var processors = new FakeProcessors(_ram, _world, 1, privilegesHigh: 0x30);
        Assert.Equal(0x30u, processors.Partition.CpuidLeaves[3].Ebx);
    }

    [Theory]
    [InlineData(0x40000000, 0)]
    [InlineData(0x40000001, 0)]
    [InlineData(0x40000020, 0)]
    [InlineData(0x40000021, 0)]
    [InlineData(0x40000022, 2_500_000_000)]
    [InlineData(0x40000023, 1_000_000_000)]
    [InlineData(0x40000073, 0)]
    [InlineData(0x40000080, 0)]
    [InlineData(0x40000081, 1)]
    [InlineData(0x40000082, 0)]
    [InlineData(0x40000083, 0)]
    [InlineData(0x40000084, 0)]
    [InlineData(0x40000090, 0x10000)]
    [InlineData(0x4000009F, 0x10000)]
    [InlineData(0x40000118, 0)]
    public void Registers_read_so_after_power_on(uint register, ulong value) => Assert.Equal(value, _processors.ReadMsr(1, register));

    [Theory]
    [InlineData(0x40000003)] // reset: not advertised
    [InlineData(0x40000040)]
    [InlineData(0x4000008F)]
    [InlineData(0x400000A0)]
    [InlineData(0x400000B0)] // timers
    [InlineData(0x40000100)] // crash
    [InlineData(0x400001FF)]
    public void Other_registers_are_faults(uint register)
    {
        Assert.False(Partition.TryReadMsr(0, register, out _));
        Assert.False(Partition.TryWriteMsr(0, register, 0));
    }

    [Theory]
    [InlineData(0x40000002)]
    [InlineData(0x40000020)]
    [InlineData(0x40000022)]
    [InlineData(0x40000023)]
    [InlineData(0x40000081)]
    public void Registers_that_only_tell_cannot_be_written(uint register) => Assert.False(Partition.TryWriteMsr(0, register, 1));

    [Fact]
    public void Every_processor_knows_its_index()
    {
        Assert.Equal(0u, _processors.ReadMsr(0, 0x40000002));
        Assert.Equal(1u, _processors.ReadMsr(1, 0x40000002));
    }

    [Fact]
    public void A_processor_that_is_none_is_the_hypervisor_s_mistake()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Partition.TryReadMsr(2, 0x40000002, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => Partition.TryWriteMsr(-1, 0x40000000, 1));
    }

    [Fact]
    public void The_reference_counter_counts_hundreds_of_nanoseconds()
    {
        _world.Advance(TimeSpan.FromMilliseconds(3));
        Assert.Equal(30_000u, _processors.ReadMsr(0, 0x40000020));
    }

    [Fact]
    public void The_hypercall_page_is_code_and_then_breakpoints()
    {
        var page = _ram.Allocate();
        _processors.WriteMsr(0, 0x40000000, 1);
        _processors.WriteMsr(0, 0x40000001, (page * 4096) | 1);
        Assert.Equal([0xF3, 0x0F, 0x1E, 0xFA, 0xE7, 0xEE, 0xC3, 0xCC], _ram.Page(page)[..8].ToArray());
        Assert.False(_ram.Page(page)[7..].ContainsAnyExcept((byte)0xCC));
        Assert.Equal((page * 4096) | 1, _processors.ReadMsr(1, 0x40000001));
    }

    [Fact]
    public void A_guest_without_a_name_gets_no_hypercall_page()
    {
        var page = _ram.Allocate();
        _processors.WriteMsr(0, 0x40000001, (page * 4096) | 1);
        Assert.Equal(page * 4096, _processors.ReadMsr(0, 0x40000001));
        Assert.False(_ram.Page(page).ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void Losing_the_name_loses_the_page_and_calls_fail()
    {
        _processors.Boot();
        Assert.Equal(0x12u, _processors.SignalEvent(0x2001)); // there is no bus, but there are calls
        _processors.WriteMsr(0, 0x40000000, 0);
        Assert.Equal(0u, _processors.ReadMsr(0, 0x40000001) & 1);
        Assert.Equal(2u, _processors.SignalEvent(0x2001));
    }

    [Fact]
    public void A_locked_hypercall_page_stays()
    {
        var page = _ram.Allocate() * 4096;
        _processors.WriteMsr(0, 0x40000000, 1);
        _processors.WriteMsr(0, 0x40000001, page | 3);
        Assert.False(Partition.TryWriteMsr(0, 0x40000001, 0));
        Assert.Equal(page | 3, _processors.ReadMsr(0, 0x40000001));
    }

    [Theory]
    [InlineData(0x40000001)]
    [InlineData(0x40000082)]
    [InlineData(0x40000083)]
    public void A_page_outside_memory_is_a_fault_and_changes_nothing(uint register)
    {
        _processors.WriteMsr(0, 0x40000000, 1);
        var before = _processors.ReadMsr(0, register);
        foreach (var address in new[] { 64UL * 4096, 0xFFFF_FFFF_FFFF_F000, 1UL << 52 })
        {
            Assert.False(Partition.TryWriteMsr(0, register, address | 1));
            Assert.Equal(before, _processors.ReadMsr(0, register));
            Assert.True(Partition.TryWriteMsr(0, register, address), "disabled, an address means nothing");
            _processors.WriteMsr(0, register, before);
        }
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(15, false)]
    [InlineData(16, true)]
    [InlineData(0xF3, true)]
    [InlineData(0x10000, true)] // masked
    [InlineData(0x1000F, true)]
    public void Vectors_of_exceptions_cannot_be_unmasked(ulong value, bool isAllowed)
    {
        Assert.Equal(isAllowed, Partition.TryWriteMsr(0, 0x40000092, value));
        Assert.Equal(isAllowed ? value : 0x10000, _processors.ReadMsr(0, 0x40000092));
    }

    [Fact]
    public void A_guest_that_asks_for_AutoEOI_is_complained_about()
    {
        var log = new List<string>();
        using var processors = new FakeProcessors(_ram, _world, 1, log: log.Add);
        processors.WriteMsr(0, 0x40000092, 0x200F3);
        Assert.Contains("AutoEOI", Assert.Single(log));
    }

    [Fact]
    public void A_guest_cannot_fill_the_host_s_log()
    {
        var log = new List<string>();
        using var processors = new FakeProcessors(_ram, _world, 1, log: log.Add);
        for (var i = 0; i < 10_000; i++)
        {
            processors.WriteMsr(0, 0x40000092, 0x200F3);
        }

        Assert.InRange(log.Count, 1, 300);
    }

    [Theory]
    [InlineData(0x0000)]
    [InlineData(0x0002)] // flush
    [InlineData(0x0046)] // partition id
    [InlineData(0x8001)] // extended capabilities
    [InlineData(0xFFFF)]
    public void Other_calls_are_none(ulong code)
    {
        _processors.Boot();
        Assert.Equal(2u, Partition.Hypercall(code, 0x1000, 0x1000));
        Assert.Equal(2u, Partition.Hypercall(code | 0x10000, 0, 0));
    }

    [Theory]
    [InlineData(0x1_005CUL)] // fast: the message has no room in registers
    [InlineData(0x8000_005CUL)] // nested
    [InlineData(0x0002_005CUL)] // a variable header
    [InlineData(0x1_0000_005CUL)] // repetitions
    [InlineData(0x1_0000_0000_005CUL)]
    [InlineData(0x0800_005CUL)] // reserved
    [InlineData(0x8000_0000_0000_005CUL)]
    [InlineData(0x1_8001_005DUL)]
    public void Calls_of_another_form_are_invalid_input(ulong control)
    {
        _processors.Boot();
        Assert.Equal(3u, Partition.Hypercall(control, 0x1000, 0));
    }

    [Theory]
    [InlineData(0x1001UL, 4u)]
    [InlineData(0x1004UL, 4u)]
    [InlineData(0x1F08UL, 4u)] // 256 bytes would cross the page
    [InlineData(0x1F00UL, 0x12u)]
    [InlineData(0x40000UL, 5u)] // behind the end of memory
    [InlineData(0xFFFF_FFFF_FFFF_FF00UL, 5u)]
    public void Input_must_be_aligned_memory_inside_a_page(ulong address, uint status)
    {
        _processors.Boot();
        Assert.Equal(status, Partition.Hypercall(0x5C, address, 0));
    }

    [Fact]
    public void Events_may_be_signalled_from_memory()
    {
        _processors.Boot();
        var page = _ram.Allocate() * 4096;
        _ram.U64(page) = 0x2001;
        Assert.Equal(0x12u, Partition.Hypercall(0x5D, page, 0));
        _ram.U64(page) = 0x0001_0000_0000_2001; // reserved bits
        Assert.Equal(5u, Partition.Hypercall(0x5D, page, 0));
        Assert.Equal(4u, Partition.Hypercall(0x5D, page + 4, 0));
        Assert.Equal(5u, Partition.Hypercall(0x5D, 1UL << 40, 0));
    }

    [Theory]
    [InlineData(0x2001UL | (2047UL << 32), 0x12u)]
    [InlineData(0x2001UL | (2048UL << 32), 5u)]
    public void Flags_have_2048_numbers(ulong input, uint status)
    {
        _processors.Boot();
        Assert.Equal(status, Partition.Hypercall(0x1005D, input, 0));
    }

    public void Dispose()
    {
        _processors.Dispose();
        _ram.Dispose();
    }
}
