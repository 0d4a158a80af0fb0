using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Testing.Faults;
using VhdCore.Testing.Recording;
using VhdCore.Vhdx;

namespace VhdCore.Tests.Vhdx;

/// <summary>When the headers change, and what in them ([MS-VHDX] §2.2.2).</summary>
public class VhdxSessionTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public async Task Opening_for_writing_and_reading_changes_not_a_byte()
    {
        var (_, memory) = await CreateAsync();
        var before = memory.GetBytes("a.vhdx");
        await using (var device = await VhdxFiles.OpenAsync(memory, "a.vhdx"))
        {
            await device.ReadBytesAsync(0, MiB);
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        }

        Assert.Equal(before, memory.GetBytes("a.vhdx"));
    }

    [Fact]
    public async Task The_first_change_updates_the_other_header_before_anything_else_is_written()
    {
        var (resolver, memory) = await CreateAsync();
        var before = await VhdxFiles.ReadMetadataAsync(memory, "a.vhdx");
        await using var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx");
        resolver.Clear();
        await WriteAsync(device, 0);

        var first = resolver.Operations[0];
        Assert.Equal((StorageOperation.Write, (long)VhdxLayout.FirstHeaderOffset, 4096L), (first.Operation, first.Offset, first.Length));
        Assert.Equal((StorageOperation.Write, MiB + 0L, 4096L), (resolver.Operations[1].Operation, resolver.Operations[1].Offset, resolver.Operations[1].Length)); // the log's first entry
        Assert.Equal(StorageOperation.Flush, resolver.Operations[2].Operation);
        var after = await VhdxFiles.ReadMetadataAsync(memory, "a.vhdx");
        Assert.Equal(VhdxLayout.FirstHeaderOffset, after.Header.FileOffset);
        Assert.Equal(before.Header.SequenceNumber + 1, after.Header.SequenceNumber);
        Assert.NotEqual(before.Header.FileWriteGuid, after.Header.FileWriteGuid);
        Assert.NotEqual(before.Header.DataWriteGuid, after.Header.DataWriteGuid);
        Assert.Equal(Guid.Empty, after.Header.LogGuid);
    }

    [Fact]
    public async Task The_header_names_the_log_with_the_first_commit_of_tables_and_not_again()
    {
        var (resolver, memory) = await CreateAsync();
        await using var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx");
        await WriteAsync(device, 0);
        var before = (await VhdxFiles.ReadMetadataAsync(memory, "a.vhdx")).Header;
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        var named = (await VhdxFiles.ReadMetadataAsync(memory, "a.vhdx")).Header;
        Assert.NotEqual(Guid.Empty, named.LogGuid);
        Assert.Equal((before.FileWriteGuid, before.DataWriteGuid, before.SequenceNumber + 1), (named.FileWriteGuid, named.DataWriteGuid, named.SequenceNumber));
        Assert.NotEqual(before.FileOffset, named.FileOffset);

        resolver.Clear();
        await WriteAsync(device, 5 * MiB);
        Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        Assert.DoesNotContain(resolver.Operations, IsHeader);
    }

    [Fact]
    public async Task A_clean_close_leaves_two_headers_that_agree_and_name_no_log()
    {
        var (_, memory) = await CreateAsync();
        await using (var device = await VhdxFiles.OpenAsync(memory, "a.vhdx"))
        {
            await WriteAsync(device, 0);
        }

        var (first, second) = await HeadersAsync(memory);
        Assert.Equal(Guid.Empty, first.LogGuid);
        Assert.Equal(1UL, Math.Max(first.SequenceNumber, second.SequenceNumber) - Math.Min(first.SequenceNumber, second.SequenceNumber));
        Assert.Equal(first with { FileOffset = 0, SequenceNumber = 0 }, second with { FileOffset = 0, SequenceNumber = 0 });
    }

    [Fact]
    public async Task Overwriting_alone_never_names_a_log_and_leaves_headers_that_agree()
    {
        var (resolver, memory) = await CreateAsync();
        await using (var device = await VhdxFiles.OpenAsync(memory, "a.vhdx"))
        {
            await WriteAsync(device, 0);
        }

        var before = (await VhdxFiles.ReadMetadataAsync(memory, "a.vhdx")).Header;
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            await WriteAsync(device, 100);
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            Assert.Equal(Guid.Empty, (await VhdxFiles.ReadMetadataAsync(memory, "a.vhdx")).Header.LogGuid);
        }

        var (first, second) = await HeadersAsync(memory);
        Assert.NotEqual(before.DataWriteGuid, first.DataWriteGuid);
        Assert.Equal(first with { FileOffset = 0, SequenceNumber = 0 }, second with { FileOffset = 0, SequenceNumber = 0 });
    }

    [Fact]
    public async Task Replaying_a_log_changes_the_file_s_identifier_and_not_the_data_s()
    {
        var (_, memory) = await CreateAsync();
        await using (var device = await VhdxFiles.OpenAsync(memory, "a.vhdx"))
        {
            await WriteAsync(device, 0);
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            memory.Copy("a.vhdx", "killed.vhdx");
        }

        memory.Copy("killed.vhdx", "a.vhdx");
        var resolver = new RecordingResolver(memory);
        var before = (await VhdxFiles.ReadMetadataAsync(memory, "a.vhdx")).Header;
        var device2 = await VhdxFiles.OpenAsync(resolver, "a.vhdx");
        var open = (await VhdxFiles.ReadMetadataAsync(memory, "a.vhdx")).Header;
        Assert.NotEqual(before.FileWriteGuid, open.FileWriteGuid);
        Assert.Equal(before.DataWriteGuid, open.DataWriteGuid);
        Assert.Equal(Guid.Empty, open.LogGuid);
        Assert.Equal(before.SequenceNumber + 2, open.SequenceNumber);
        Assert.True(IsHeader(resolver.Operations.First(operation => operation.Operation == StorageOperation.Write)));

        resolver.Clear();
        await device2.DisposeAsync();
        Assert.Empty(resolver.Operations);
    }

    [Fact]
    public async Task A_session_that_could_not_be_announced_is_not_announced_again()
    {
        // Which of the headers is durable is not known: another try could lose both.
        var (_, memory) = await CreateAsync();
        var plan = new FaultPlan();
        var before = await VhdxFiles.ReadMetadataAsync(memory, "a.vhdx");
        await using (var device = await VhdxFiles.OpenAsync(new FaultResolver(memory, plan), "a.vhdx"))
        {
            plan.Fail(StorageOperation.Flush);
            var writes = plan.Count(StorageOperation.Write);
            Assert.Equal(BlockStatus.IoError, await device.WriteBytesAsync(0, [1]));
            Assert.Equal(writes + 2, plan.Count(StorageOperation.Write));
            Assert.NotEqual(BlockStatus.Ok, await device.WriteBytesAsync(0, [1]));
            Assert.Equal(writes + 2, plan.Count(StorageOperation.Write));
            Assert.Equal(0, (await device.ReadBytesAsync(0, 1))[0]);
        }

        var after = await VhdxFiles.ReadMetadataAsync(memory, "a.vhdx");
        Assert.Equal(before.Header.SequenceNumber + 1, after.Header.SequenceNumber);
    }

    [Fact]
    public async Task Changed_tables_are_in_the_log_after_a_second_without_a_flush()
    {
        var (_, memory) = await CreateAsync();
        var clock = new ManualClock();
        await using var device = await VhdxFiles.OpenAsync(memory, clock, "a.vhdx");
        await WriteAsync(device, 3 * MiB);
        memory.Copy("a.vhdx", "before.vhdx");
        clock.Advance(TimeSpan.FromSeconds(1));
        memory.Copy("a.vhdx", "after.vhdx");
        Assert.Equal(0, (await VhdxFiles.ReadPlainlyAsync(memory, "before.vhdx"))[3 * MiB]);
        Assert.Equal(9, (await VhdxFiles.ReadPlainlyAsync(memory, "after.vhdx"))[3 * MiB]);
    }

    private static async Task<(VhdxHeader First, VhdxHeader Second)> HeadersAsync(MemoryStorageResolver resolver)
    {
        var headers = (await VhdxFiles.ReadMetadataAsync(resolver, "a.vhdx")).Headers;
        Assert.True(headers.First.IsValid && headers.Second.IsValid);
        return (headers.First, headers.Second);
    }

    private static bool IsHeader(RecordedOperation operation) => operation.Operation == StorageOperation.Write && operation.Offset < VhdxLayout.FirstRegionTableOffset;

    private static async Task WriteAsync(ChainDevice device, long offset) => Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(offset, [9]));

    private static async Task<(RecordingResolver Resolver, MemoryStorageResolver Memory)> CreateAsync()
    {
        var memory = new MemoryStorageResolver();
        await VhdxFiles.CreateAsync(memory, "a.vhdx", new VhdxFile { Kind = ImageKind.Dynamic });
        return (new RecordingResolver(memory), memory);
    }
}
