using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Crash;

namespace VhdCore.Tests.TestMedia;

public class CrashWorldTests
{
    [Fact]
    public async Task A_cut_leaves_any_subset_of_the_unflushed_sectors_of_one_write()
    {
        var (world, storage) = await StartAsync(Sectors(0, 0, 0));
        await storage.WriteBytesAsync(0, Sectors(1, 2, 3));
        Assert.Equal(["000", "003", "020", "023", "100", "103", "120", "123"], States(world));
        Assert.Equal(8, world.CountStates());
    }

    [Fact]
    public async Task A_sector_written_twice_holds_any_of_its_values()
    {
        var (world, storage) = await StartAsync(Sectors(1, 1));
        await storage.WriteBytesAsync(0, Sectors(2));
        await storage.WriteBytesAsync(0, Sectors(3));
        Assert.Equal(["11", "21", "31"], States(world));
    }

    [Fact]
    public async Task A_flush_settles_what_came_before_it()
    {
        var (world, storage) = await StartAsync(Sectors(0, 0));
        await storage.WriteBytesAsync(0, Sectors(1));
        await storage.FlushAsync();
        await storage.WriteBytesAsync(512, Sectors(2));
        Assert.Equal(["10", "12"], States(world));
        await storage.FlushAsync();
        Assert.Equal(["12"], States(world));
    }

    [Fact]
    public async Task A_write_with_fua_settles_its_own_sectors_and_no_length()
    {
        var (world, storage) = await StartAsync(Sectors(0, 0));
        await storage.WriteBytesAsync(0, Sectors(1));
        await storage.WriteBytesAsync(512, Sectors(2), WriteFlags.Fua);
        Assert.Equal(["02", "12"], States(world));
        await storage.FlushAsync();
        await storage.WriteBytesAsync(1024, Sectors(3), WriteFlags.Fua);
        Assert.Equal(["12", "123"], States(world));
    }

    [Fact]
    public async Task A_length_is_any_that_was_passed_through()
    {
        var (world, storage) = await StartAsync(Sectors(1, 2, 3));
        await storage.SetLengthAsync(512);
        await storage.SetLengthAsync(1024);
        Assert.Equal(["1", "10", "100", "103", "12", "120", "123"], States(world));
        await storage.FlushAsync();
        Assert.Equal(["10"], States(world));
    }

    [Fact]
    public async Task A_length_can_outrun_the_data_unless_extensions_are_ordered()
    {
        var (world, storage) = await StartAsync(Sectors(1));
        await storage.WriteBytesAsync(1024, Sectors(3));
        Assert.Equal(["1", "100", "103"], States(world));

        (world, storage) = await StartAsync(Sectors(1), isOrdered: true);
        await storage.WriteBytesAsync(1024, Sectors(3));
        await storage.WriteBytesAsync(512, Sectors(2));
        Assert.Equal(["1", "103", "123"], States(world));
    }

    [Fact]
    public async Task With_ordered_extensions_content_and_truncation_go_together()
    {
        var (world, storage) = await StartAsync(Sectors(1, 2, 3), isOrdered: true);
        await storage.SetLengthAsync(512);
        await storage.SetLengthAsync(1536);
        Assert.Equal(["1", "100", "123"], States(world));
    }

    [Fact]
    public async Task A_punched_hole_may_be_there_or_not_sector_by_sector()
    {
        var (world, storage) = await StartAsync(Sectors(1, 2, 3));
        Assert.Equal(BlockStatus.Ok, await storage.PunchHoleAsync(512, 1024));
        Assert.Equal(new StorageRun(true, 1024), storage.Map(512, 1024));
        Assert.Equal(["100", "103", "120", "123"], States(world));
    }

    [Fact]
    public async Task Part_of_a_sector_changes_that_sector_as_a_whole()
    {
        var (world, storage) = await StartAsync(Sectors(1, 1));
        await storage.WriteBytesAsync(511, [7, 8]);
        var states = world.AllStates().Select(state => state.GetBytes("/disk")[510..514]).Select(Convert.ToHexString).Order();
        Assert.Equal(["01010101", "01010801", "01070101", "01070801"], states);
    }

    [Fact]
    public async Task A_renamed_storage_has_its_old_name_or_its_new_one_and_then_surely_the_new_one()
    {
        var world = new CrashWorld();
        world.Add("/disk", Sectors(1));
        var storage = await world.OpenAsync("/temp", StorageOpenOptions.ForCreating);
        await storage.WriteBytesAsync(0, Sectors(2));
        var seen = new HashSet<string>();
        world.OnStep = _ => seen.UnionWith(world.AllStates().Select(state => string.Join(' ', state.Names) + ": " + Describe(state)));
        Assert.Equal(BlockStatus.Ok, await storage.RenameAsync("/disk"));
        world.OnStep = null;

        Assert.All(seen, state => Assert.Contains(state, (string[])["/disk: 1", "/disk: 2", "/disk /temp: 1"]));
        Assert.Contains("/disk: 2", seen);
        Assert.Equal(["2"], States(world));
        Assert.Equal(["/disk"], world.Names);
    }

    [Fact]
    public async Task A_world_after_a_cut_is_run_on_and_cut_again()
    {
        var (world, storage) = await StartAsync(Sectors(0, 0));
        await storage.WriteBytesAsync(0, Sectors(1, 1));
        var second = world.AllStates().Single(state => Describe(state) == "10");
        var reopened = await second.OpenAsync("/disk", StorageOpenOptions.ForWriting);
        await reopened.WriteBytesAsync(512, Sectors(2));
        Assert.Equal(["10", "12"], States(second));
        Assert.Equal(["00", "01", "10", "11"], States(world));
    }

    [Fact]
    public async Task Sampled_cuts_are_states_of_the_enumeration_and_reach_all_of_them()
    {
        var (world, storage) = await StartAsync(Sectors(1, 1, 1));
        await storage.WriteBytesAsync(0, Sectors(2, 2));
        await storage.WriteBytesAsync(512, Sectors(3, 3, 3));
        await storage.PunchHoleAsync(0, 512);
        var all = States(world);
        var random = new Random(1);
        var sampled = Enumerable.Range(0, 3000).Select(_ => Describe(world.Cut(random))).Distinct().Order(StringComparer.Ordinal);
        Assert.Equal(all, sampled);
    }

    [Fact]
    public async Task A_killed_process_leaves_the_page_cache_and_no_locks()
    {
        var (world, storage) = await StartAsync(Sectors(1));
        await storage.WriteBytesAsync(0, Sectors(2));
        world.Kill();
        Assert.Equal(BlockStatus.Closed, await storage.WriteBytesAsync(0, Sectors(3)));
        await using var reopened = await world.OpenAsync("/disk", StorageOpenOptions.ForWriting);
        Assert.Equal(Sectors(2), await reopened.ReadBytesAsync(0, 512));
        Assert.Equal(["1", "2"], States(world));
    }

    [Fact]
    public async Task A_kill_inside_a_write_leaves_the_first_part_of_it_and_answers_nobody()
    {
        var (world, storage) = await StartAsync(Sectors(1, 1));
        world.KillAfter(2, partOfLastWrite: 0.5);
        Assert.Equal(BlockStatus.Ok, await storage.WriteBytesAsync(0, Sectors(2, 2)));
        Assert.Equal(BlockStatus.Closed, await storage.WriteBytesAsync(0, Sectors(3, 3)));
        Assert.False(world.IsKillPending);
        Assert.Equal(BlockStatus.Closed, await storage.FlushAsync());
        Assert.Equal("32", Describe(world));
    }

    [Fact]
    public async Task What_a_failed_flush_has_not_brought_to_the_medium_no_later_one_brings_there()
    {
        var seen = new SortedSet<string>(StringComparer.Ordinal);
        for (var seed = 0; seed < 40; seed++)
        {
            var (world, storage) = await StartAsync(Sectors(1, 1));
            await storage.WriteBytesAsync(0, Sectors(2, 2));
            world.FailFlushAfter(1, new Random(seed));
            Assert.Equal(BlockStatus.IoError, await storage.FlushAsync());
            Assert.Equal(BlockStatus.Ok, await storage.FlushAsync());
            Assert.Equal(Sectors(2, 2), await storage.ReadBytesAsync(0, 1024));
            seen.Add(Assert.Single(States(world)));
        }

        Assert.Equal(["11", "12", "21", "22"], seen);
    }

    [Fact]
    public async Task A_file_that_was_cut_off_when_a_flush_failed_reads_as_zeros_when_it_grows_again()
    {
        var cutOff = 0;
        for (var seed = 0; seed < 20; seed++)
        {
            var (world, storage) = await StartAsync(Sectors(1, 1));
            await storage.SetLengthAsync(512);
            world.FailFlushAfter(1, new Random(seed));
            Assert.Equal(BlockStatus.IoError, await storage.FlushAsync());
            var left = world.Cut(new Random(seed));
            await using var reopened = await left.OpenAsync("/disk", StorageOpenOptions.ForWriting);
            if (reopened.Length == 512)
            {
                cutOff++;
                await reopened.SetLengthAsync(1024);
                Assert.Equal(Sectors(1, 0), await reopened.ReadBytesAsync(0, 1024));
            }
        }

        Assert.True(cutOff > 0, "No cut left the file cut off.");
    }

    [Fact]
    public void A_flush_in_turns_does_not_cover_what_is_written_while_it_runs()
    {
        var uncovered = 0;
        for (var seed = 0; seed < 50; seed++)
        {
            var world = new CrashWorld { Scheduler = new StepScheduler(seed) };
            world.Add("/disk", Sectors(0, 0));
            world.Scheduler.Run(Task.Run(async () =>
            {
                var storage = await world.OpenAsync("/disk", StorageOpenOptions.ForWriting);
                await storage.WriteBytesAsync(0, Sectors(1));
                var flush = storage.FlushAsync().AsTask();
                var write = storage.WriteBytesAsync(512, Sectors(2)).AsTask();
                await Task.WhenAll(flush, write);
            }));
            var states = States(world);
            Assert.True(states is ["12"] or ["10", "12"], string.Join(' ', states));
            uncovered += states.Count - 1;
        }

        Assert.InRange(uncovered, 1, 49);
    }

    private static async Task<(CrashWorld World, IStorage Storage)> StartAsync(byte[] content, bool isOrdered = false)
    {
        var world = new CrashWorld { IsExtensionOrdered = isOrdered };
        world.Add("/disk", content);
        return (world, await world.OpenAsync("/disk", StorageOpenOptions.ForWriting));
    }

    private static byte[] Sectors(params byte[] values) => [.. values.SelectMany(value => Enumerable.Repeat(value, 512))];

    /// <summary>A digit a sector.</summary>
    private static string Describe(CrashWorld world) =>
        string.Concat(world.GetBytes("/disk").Chunk(512).Select(sector => sector.Distinct().Count() == 1 ? sector[0].ToString(System.Globalization.CultureInfo.InvariantCulture) : "?"));

    private static List<string> States(CrashWorld world) => [.. world.AllStates().Select(Describe).Distinct().Order(StringComparer.Ordinal)];
}
